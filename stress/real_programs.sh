#!/bin/sh
# SPDX-License-Identifier: MIT
#
# One real program with and without the library preloaded: the output must be
# the same, and the library's own counters must show that it served at least a
# million allocations, so that a preload that silently failed does not pass.
#
# Usage: real_programs.sh LIBRARY PROGRAM
#   PROGRAM is bash, python, perl, git, g++, sqlite or redis
# Exit status 77: the program is not installed.
#
# Each workload is bounded, deterministic and made here; servers listen on a
# socket in the run's own directory only and are ended by their process id.

set -u

least_mallocs=1000000
not_installed=77

fail() {
    echo "real_programs.sh: $*" >&2
    exit 1
}

[ $# -eq 2 ] || fail "usage: real_programs.sh LIBRARY PROGRAM"
library=$(realpath "$1") || fail "no library $1"
program=$2
[ -r "$library" ] || fail "no library $library"

folder=$(mktemp -d) || exit 1
server=
clean() {
    [ -z "$server" ] || kill "$server" 2>/dev/null
    rm -rf "$folder"
}
trap clean EXIT
trap 'exit 1' INT TERM HUP

# preload: "" without, the library with. The workloads start what they measure
# through `under`, so that no helper's allocations are counted.
preload=
under() {
    if [ -n "$preload" ]; then
        env LD_PRELOAD="$preload" POOLMALLOC_OPTIONS="stats_at_exit=$folder/statistics" "$@"
    else
        env -u LD_PRELOAD "$@"
    fi
}

needs() {
    for tool in "$@"; do
        command -v "$tool" >/dev/null 2>&1 && continue
        echo "real_programs.sh: $tool is not installed"
        exit $not_installed
    done
}

# Shells allocate for every word, expansion and function call. Everything runs
# in the first process: children that leave by _exit write no statistics.
run_bash() {
    cat >"$folder/work.bash" <<'END'
declare -A count
text="the quick brown fox jumps over the lazy dog"
total=0
shorten() { local word=$1; REPLY=${word#?}; }
for ((i = 0; i < 2500; i++)); do
    for word in $text; do
        key="${word}_$((i % 100))"
        count[$key]=$((${count[$key]:-0} + ${#word}))
        shorten "$key"
        total=$((total + ${#REPLY}))
    done
    lines[i % 500]="${text//o/$i}"
done
printf '%s\n' "$total" "${#count[@]}" "${lines[@]:0:20}"
for key in fox_1 dog_99 quick_50; do echo "$key ${count[$key]}"; done
END
    under bash --noprofile --norc "$folder/work.bash"
}

run_python() {
    cat >"$folder/work.py" <<'END'
import collections, json, re
tree = lambda depth: [] if depth == 0 else [tree(depth - 1), tree(depth - 1)]
size = lambda node: 1 + sum(map(size, node))
print(sum(size(tree(14)) for _ in range(6)))
records = [{"id": i, "name": "name %d" % i, "tags": [str(i * k) for k in range(8)]}
           for i in range(30000)]
text = json.dumps(records)
again = json.loads(text)
print(len(text), again == records)
words = collections.Counter(re.findall(r"[0-9]+", text))
print(len(words), words.most_common(3))
print(sum(len(str(3 ** n)) for n in range(1500)))
END
    under env PYTHONMALLOC=malloc PYTHONHASHSEED=0 "$python" -sSB "$folder/work.py"
}

run_perl() {
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

# A history of 8000 commits from a stream made here; log with patches and
# renames, blame, a whole repack.
run_git() {
    repository=$folder/repository.${preload:+with}
    HOME=$folder GIT_CONFIG_NOSYSTEM=1 GIT_PAGER=cat
    export HOME GIT_CONFIG_NOSYSTEM GIT_PAGER
    git init -q -b main "$repository" || return 1
    awk 'BEGIN {
        for (commit = 1; commit <= 8000; commit++) {
            printf "commit refs/heads/main\nmark :%d\n", commit
            printf "committer A <a@example.org> %d +0000\n", 1000000000 + commit
            printf "data 10\nchange %03d\n", commit % 1000
            if (commit > 1) printf "from :%d\n", commit - 1
            text = ""
            for (line = 0; line < 40; line++)
                text = text "line " line " of " int(commit / (line + 1)) "\n"
            printf "M 100644 inline folder%d/file%d\ndata %d\n%s\n", \
                commit % 7, commit % 50, length(text), text
        }
    }' | under git -C "$repository" fast-import --quiet || return 1
    under git -C "$repository" log -p -M --stat --format='%H %an %s' main >"$folder/log" || return 1
    cksum <"$folder/log"
    under git -C "$repository" blame -s main -- folder0/file0 || return 1
    under git -C "$repository" -c pack.threads=1 repack -q -a -d || return 1
    under git -C "$repository" rev-list --objects --all | cksum
    under git -C "$repository" fsck --full --strict 2>&1
}

run_gxx() {
    cat >"$folder/work.cc" <<'END'
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <regex>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

template <int N> struct number {
    static constexpr int value = number<N - 1>::value + N % 3;
};
template <> struct number<0> {
    static constexpr int value = 0;
};
template <int... I> std::vector<int> numbers(std::integer_sequence<int, I...>)
{
    return {number<I>::value...};
}
template <int N> struct box {
    using value = std::variant<int, std::string, std::unique_ptr<box<N - 1>>>;
    std::map<std::string, std::vector<value>> in;
    int sum() const
    {
        int total = N;
        for (const auto &[name, values] : in)
            for (const auto &value : values)
                std::visit([&](const auto &v) { total += sizeof v + name.size(); }, value);
        return total;
    }
};
template <> struct box<0> {
};

int main()
{
    auto all = numbers(std::make_integer_sequence<int, 300>());
    std::sort(all.begin(), all.end(), std::greater<>());
    std::regex words("([a-z]+)=([0-9]+)");
    std::smatch match;
    std::string text = "abc=12";
    box<12> a;
    box<7> b;
    std::unordered_map<std::string, std::function<int()>> calls = {
        {"a", [&] { return a.sum(); }}, {"b", [&] { return b.sum(); }}};
    std::cout << all[0] << std::regex_match(text, match, words) << calls["a"]() << calls["b"]();
}
END
    # the assembly code is what the compiler computed; the driver and the
    # compiler proper are both under the library
    under g++ -std=c++17 -O0 -S -frandom-seed=1 -o "$folder/work.s" "$folder/work.cc" || return 1
    cksum <"$folder/work.s"
}

run_sqlite() {
    cat >"$folder/work.sql" <<'END'
PRAGMA cache_size = 200;
CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, value REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
INSERT INTO t SELECT i, 'name ' || (i * 7919 % 60000), i / 7.0 FROM n;
CREATE INDEX by_name ON t (name, value);
SELECT count(*), sum(value), min(name), max(name) FROM t;
SELECT substr(name, 1, 7) AS part, count(*), group_concat(id % 10) FROM t
    GROUP BY part ORDER BY 2 DESC, 1 LIMIT 10;
WITH RECURSIVE n(i, s) AS
    (SELECT 1, 'x' UNION ALL SELECT i + 1, printf('%s-%d', substr(s, -40), i) FROM n
        WHERE i < 250000)
SELECT sum(length(s)), count(DISTINCT substr(s, 1, 9)) FROM n;
SELECT sum(length(json_extract(json_object('id', id, 'name', name), '$.name'))) FROM t;
SELECT count(*) FROM t AS a JOIN t AS b ON b.name = 'name ' || a.id WHERE a.id < 30000;
UPDATE t SET name = upper(name) || hex(value) WHERE id % 3 = 0;
SELECT sum(length(name)), count(DISTINCT name) FROM t;
DELETE FROM t WHERE id % 2 = 0;
PRAGMA integrity_check;
SELECT count(*), total(value) FROM t;
END
    under sqlite3 -batch :memory: <"$folder/work.sql"
}

# Replies to a fixed script, then the state that redis-benchmark leaves: it uses
# one key per command here, so the state does not depend on the order.
run_redis() {
    socket=$folder/socket
    rm -f "$socket"
    under redis-server --port 0 --unixsocket "$socket" --save '' --appendonly no \
        --enable-debug-command local --dir "$folder" --daemonize no >"$folder/redis.log" 2>&1 &
    server=$!
    tries=0
    until redis-cli -s "$socket" ping >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt 100 ] && kill -0 "$server" 2>/dev/null || {
            cat "$folder/redis.log" >&2
            return 1
        }
        sleep 0.1
    done
    awk 'BEGIN {
        for (i = 0; i < 4000; i++) {
            printf "SET key:%d %0*d\n", i, i % 300 + 1, i
            printf "HSET hash:%d field%d value%d other %d\n", i % 50, i, i, i * i
            printf "RPUSH list:%d a%d b%d c%d\n", i % 20, i, i, i
            printf "ZADD sorted %d member%d\n", i * 31 % 997, i
            printf "APPEND key:%d more\n", i * 17 % 4000
            if (i % 5 == 0) printf "DEL key:%d\n", i / 2
            if (i % 9 == 0) printf "LRANGE list:%d 0 5\n", i % 20
        }
        print "ZRANGE sorted 0 20\nHLEN hash:7\nDBSIZE\nDEBUG DIGEST"
    }' | redis-cli -s "$socket" || return 1
    redis-benchmark -s "$socket" -q -c 20 -P 16 -n 100000 -d 200 \
        -t set,get,incr,lpush,rpush,sadd,hset,zadd,mset >"$folder/benchmark.log" 2>&1 || return 1
    printf 'DBSIZE\nLLEN mylist\nDEBUG DIGEST\nFLUSHALL\nDBSIZE\nSHUTDOWN NOSAVE\n' |
        redis-cli -s "$socket"
    wait "$server"
    status=$?
    server=
    return $status
}

sum_of_mallocs() {
    awk -F': *' '$1 == "mallocs" { sum += $2 } END { printf "%d\n", sum }' "$1"
}

run_both() {
    preload=
    if ! "$1" >"$folder/without" 2>&1; then
        tail -50 "$folder/without"
        fail "$program fails without preload"
    fi
    preload=$library
    if ! "$1" >"$folder/with" 2>&1; then
        tail -50 "$folder/with"
        fail "$program fails with preload"
    fi
    if ! cmp -s "$folder/without" "$folder/with"; then
        diff "$folder/without" "$folder/with" | head -20
        fail "$program: the output differs with preload"
    fi
    [ -s "$folder/without" ] || fail "$program: no output to compare"
    [ -s "$folder/statistics" ] || fail "$program: the library wrote no statistics: not preloaded?"
    mallocs=$(sum_of_mallocs "$folder/statistics")
    processes=$(grep -c '^poolmalloc statistics' "$folder/statistics")
    echo "$program: same output, $mallocs allocations in $processes processes"
    [ "$mallocs" -ge $least_mallocs ] || fail "$program: fewer than $least_mallocs allocations"
}

case $program in
bash) needs bash && run_both run_bash ;;
python)
    python=/usr/bin/python3
    needs $python && run_both run_python
    ;;
perl) needs perl && run_both run_perl ;;
git) needs git awk cksum && run_both run_git ;;
g++) needs g++ cksum && run_both run_gxx ;;
sqlite) needs sqlite3 && run_both run_sqlite ;;
redis) needs redis-server redis-cli redis-benchmark awk && run_both run_redis ;;
*) fail "unknown program $program" ;;
esac
