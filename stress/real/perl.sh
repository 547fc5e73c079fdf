# SPDX-License-Identifier: MIT
# Trees, hashes and strings.

needs perl

run()
{
    cat >"$folder/work.pl" <<'END'
use strict; use warnings;
my (%seen, @trees);
sub tree { my $depth = shift; return $depth ? [tree($depth - 1), tree($depth - 1)] : [] }
sub size { my $node = shift; my $n = 1; $n += size($_) for @$node; return $n }
push @trees, size(tree(14)) for 1 .. 55;
for my $i (1 .. 300000) {
    my $key = join '-', $i % 5000, 'x' x ($i % 37);
    push @{$seen{$key}}, "value $i" if $i % 3;
    delete $seen{$key} if $i % 1000 == 999;
}
my $total = 0;
$total += length for map { @$_ } values %seen;
print "@trees\n", scalar(keys %seen), " $total\n";
print join(',', (sort keys %seen)[0 .. 9]), "\n";
END
    under env PERL_HASH_SEED=0 PERL_PERTURB_KEYS=0 perl "$folder/work.pl"
}
