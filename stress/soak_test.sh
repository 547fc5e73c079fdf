#!/bin/sh
# SPDX-License-Identifier: MIT
#
# stress/soak.sh with programs that succeed, fail, cannot run or hang: it counts
# them, names what failed with the line that repeats it, and ends when it should.
# Then its table, with the real programs and next to no work: of lines that differ
# in numbers only, the first.
#
# Usage: soak_test.sh SOAK_SH [FOLDER_OF_THE_PROGRAMS]

set -eu

script=$1 programs=${2:-}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0
export SOAK_BINARIES="$folder" SOAK_LOGS="$folder/logs" SOAK_TABLE="$folder/table"

# program NAME: its text from stdin; the seed is $seed there.
# Each takes a while, as nothing is gained by many runs.
program()
{
    { printf '#!/bin/sh\nfor seed in "$@"; do :; done\nsleep 0.2\n'; cat; } >"$folder/stress_$1"
    chmod +x "$folder/stress_$1"
}
echo 'echo "good: done, 7 operations; $*"; echo "$seed" >>"${0%/*}/seeds"' | program good
echo '[ $((seed % 2)) = 0 ] || { echo the reason; exit 3; }; echo "odd: done, 1 operations"' |
    program odd
echo 'echo nothing to run on; exit 77' | program skipping
echo 'exec sleep 60' | program hanging

complain()
{
    echo "FAILED: $*; output:"
    cat "$folder/out"
    failed=1
}

# expect CODE LAST_LINE_PATTERN ARGUMENT...: leaves the output in $folder/out.
expect()
{
    code=$1 last=$2 actual=0
    shift 2
    sh "$script" "$@" >"$folder/out" 2>&1 || actual=$?
    if [ "$actual" -eq "$code" ] && tail -n 1 "$folder/out" | grep -q -- "$last"; then
        echo "ok: $* -> $(tail -n 1 "$folder/out")"
    else
        complain "$*: exit code $actual, not $code, or no last line $last"
    fi
}

named()
{
    grep -q -- "$1" "$folder/out" || complain "no \"$1\""
}

# The first failure ends it; the line that repeats it is there; OPS is scaled.
printf '%s\n' 'all - good --ops OPS(1000)' 'other - hanging' 'all window_bytes=16m odd --x 1' \
    >"$folder/table"
expect 1 '^soak: 2 runs, 7 operations, seeds 10 to 11; 1 failed, 0 skipped$' \
    1 --seed 10 --preset tsan
named "stress_good --ops 61 --seed 10$"
named "^  env POOLMALLOC_OPTIONS=window_bytes=16m $folder/stress_odd --x 1 --seed 11$"
named "the reason"
[ -s "$folder/logs/seed-11.log" ] || complain "no output is left of the run that failed"

# A bounded time of clean runs; each has a seed of its own.
rm -f "$folder/seeds"
printf '%s\n' 'all - good' 'all - good' >"$folder/table"
expect 0 '^soak: [0-9]* runs, [0-9]* operations, seeds 20 to [0-9]*; 0 failed, 0 skipped$' \
    0.0002 --seed 20
[ "$(sort -u "$folder/seeds" | wc -l)" -eq "$(wc -l <"$folder/seeds")" ] ||
    complain "a seed came twice"

# It goes on where it is told to, and fails in the end.
printf '%s\n' 'release - odd' 'check - odd' 'all - skipping' >"$folder/table"
SOAK_ROUNDS=2 expect 1 '^soak: 4 runs, 2 operations, seeds 3 to 10; 2 failed, 4 skipped$' \
    1 --keep-going --seed 3
named "skipped: nothing to run on"

# A soak in which nothing ran has shown nothing.
echo 'other - good' >"$folder/table"
expect 1 '^soak: 0 runs,' 0.0002
echo 'all - skipping' >"$folder/table"
SOAK_ROUNDS=3 expect 1 '^soak: 0 runs,.* 3 skipped$' 1 --preset release

# A hang is ended and counts as failed.
echo 'all - hanging' >"$folder/table"
SOAK_RUN_SECONDS=1 expect 1 '; 1 failed, 0 skipped$' 1 --preset release
named "ended after 1 s"

# A signal ends the run and the soak, which sums up. (TERM: a shell's background
# jobs ignore the signal of Ctrl-C, for which the script has the same trap.)
: >"$folder/out"
sh "$script" 1 --preset release >"$folder/out" 2>&1 &
soak=$!
until grep -q stress_hanging "$folder/out"; do
    kill -0 $soak 2>/dev/null || break
    sleep 0.1
done
kill -TERM $soak
actual=0
wait $soak || actual=$?
[ "$actual" -eq 130 ] || complain "interrupted: exit code $actual"
named "^soak: 0 runs, 0 operations, .*; 0 failed, 0 skipped$"

expect 2 '^usage: ' 0
expect 2 '^usage: ' 1 --preset
expect 2 '^usage: ' two
expect 2 '^usage: ' 1 --seed x
expect 2 '^usage: '

# The real programs take the arguments of the real table.
[ -n "$programs" ] || exit $failed
sh "$script" --list | grep '^\(all\|release\) ' | sed 's/OPS([0-9]*)/12/' |
    awk '!seen[$3 $5]++' >"$folder/list"
while read -r where options name arguments; do
    [ "$options" != - ] || options=""
    actual=0
    # shellcheck disable=SC2086 # arguments hold no blanks
    POOLMALLOC_OPTIONS=$options "$programs/stress_${name#cgroup:}" $arguments --seed 5 \
        >"$folder/out" 2>&1 </dev/null || actual=$?
    case $name in
    pressure) # so little work that nothing may be refused, which it complains of
        [ "$actual" -ne 2 ] || complain "$where: $name $arguments" ;;
    *)
        [ "$actual" -eq 0 ] || complain "$where: $name $arguments"
        named '^[a-z_]*: done, [0-9]* operations' ;;
    esac
done <"$folder/list"
echo "$(wc -l <"$folder/list") lines of the table take place"
exit $failed
