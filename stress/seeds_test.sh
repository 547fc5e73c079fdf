#!/bin/sh
# SPDX-License-Identifier: MIT
#
# stress/seeds.sh with programs that fail for some seeds only: it names just
# these, runs every seed once, passes other settings on, and stops when told.
# Usage: seeds_test.sh SEEDS_SH

set -eu

script=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0

# expect CODE LAST_LINE ARGUMENT...: leaves the output in $folder/out.
expect()
{
    code=$1 last=$2 actual=0
    shift 2
    sh "$script" "$@" >"$folder/out" 2>&1 || actual=$?
    if [ "$actual" -eq "$code" ] && [ "$(tail -n 1 "$folder/out")" = "$last" ]; then
        echo "ok: $* -> $last"
    else
        echo "FAILED: $*: exit code $actual, output:"
        cat "$folder/out"
        failed=1
    fi
}

named()
{
    grep -q -- "$1" "$folder/out" || { echo "FAILED: no \"$1\" in:"; cat "$folder/out"; failed=1; }
}

# Appends its settings to a file; fails for seeds 4 and 5, hangs for 6.
cat >"$folder/program" <<'END'
echo "$POOLMALLOC_SCHEDULE" >>"$1"
case $POOLMALLOC_SCHEDULE in
seed=4,* | seed=5,*) echo "the reason"; exit 3 ;;
seed=6,*) exec sleep 30 ;;
esac
END

export POOLMALLOC_SCHEDULE=yield=1/8
expect 0 "0 of 3 seeds failed" 1 3 sh "$folder/program" "$folder/good"
[ "$(sort "$folder/good" | tr '\n' ' ')" = \
    "seed=1,yield=1/8 seed=2,yield=1/8 seed=3,yield=1/8 " ] || { cat "$folder/good"; failed=1; }
expect 1 "2 of 5 seeds failed" 1 5 --jobs 3 sh "$folder/program" "$folder/bad"
named "status 3.: POOLMALLOC_SCHEDULE=seed=4,yield=1/8 sh"
named "POOLMALLOC_SCHEDULE=seed=5,yield=1/8 sh"
named "the reason"
expect 1 "1 of 1 seeds failed" 4 9 --jobs 1 --stop sh "$folder/program" "$folder/stop"
SEED_SECONDS=1 expect 1 "1 of 1 seeds failed" 6 6 sh "$folder/program" "$folder/hang"
expect 2 "usage: sh stress/seeds.sh FIRST LAST [--jobs N] [--stop] PROGRAM [ARGUMENT]..." 5 4 true
exit $failed
