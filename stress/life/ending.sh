#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The end of a process while other threads allocate: the status is the
# program's, nothing is said on stderr, and the statistics are written exactly
# when the end is an orderly one, whole, and of a program that allocated.
#
# Usage: ending.sh PROGRAM WAY TIMES    (PROGRAM is that of ending.c)

set -u

program=$1 way=$2 times=$3
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM HUP

fail() {
    echo "ending.sh: $way: $*" >&2
    cat "$folder/output" >&2
    exit 1
}

case $way in
exit | return) status=3 written=1 ;;
pthread_exit) status=0 written=1 ;;
quick_exit | _exit) status=3 written=0 ;;
*) fail "unknown way" ;;
esac

run=0
while [ $run -lt "$times" ]; do
    run=$((run + 1))
    rm -f "$folder/statistics"
    POOLMALLOC_OPTIONS=stats_at_exit=$folder/statistics "$program" "$way" >"$folder/output" 2>&1
    found=$?
    [ $found -eq $status ] || fail "run $run: status $found, not $status"
    [ ! -s "$folder/output" ] || fail "run $run: it said"
    if [ $written -eq 0 ]; then
        [ ! -e "$folder/statistics" ] || fail "run $run: it wrote statistics"
        continue
    fi
    [ -s "$folder/statistics" ] || fail "run $run: no statistics"
    mallocs=$(awk '$1 == "mallocs:" { print $2 }' "$folder/statistics")
    [ "${mallocs:-0}" -ge 300 ] || fail "run $run: ${mallocs:-no} mallocs"
    grep -q '^lock_contended: [0-9]*$' "$folder/statistics" || fail "run $run: cut off"
done
echo "$way: $times times status $status, statistics: $written"
