#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Run a program of the schedule build under many seeds of its fuzzer.
#
#   sh stress/seeds.sh FIRST LAST [--jobs N] [--stop] PROGRAM [ARGUMENT]...
#
# Every seed that fails is named, with the line that repeats it and the end of
# its output; the last line is "N of M seeds failed". --stop: the first failure
# ends it. Other settings of POOLMALLOC_SCHEDULE in the environment hold beside
# the seed. A run is ended after SEED_SECONDS (120), which counts as failed.
# Exit code 1 if a seed failed.

set -u

usage="usage: sh stress/seeds.sh FIRST LAST [--jobs N] [--stop] PROGRAM [ARGUMENT]..."
[ $# -ge 3 ] || { echo "$usage" >&2; exit 2; }
first=$1 last=$2 jobs=2 stop=no
shift 2
while [ $# -gt 0 ]; do
    case $1 in
    --jobs) [ $# -ge 2 ] || { echo "$usage" >&2; exit 2; }; jobs=$2; shift 2 ;;
    --stop) stop=yes; shift ;;
    *) break ;;
    esac
done
[ $# -gt 0 ] && [ "$last" -ge "$first" ] && [ "$jobs" -ge 1 ] || { echo "$usage" >&2; exit 2; }
others=${POOLMALLOC_SCHEDULE:+,$POOLMALLOC_SCHEDULE}
seconds=${SEED_SECONDS:-120}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# one SEED COMMAND...: leaves SEED.failed where it fails.
one()
{
    seed=$1
    shift
    status=0
    POOLMALLOC_SCHEDULE=seed=$seed$others timeout -s ABRT "$seconds" "$@" \
        >"$folder/$seed.out" 2>&1 </dev/null || status=$?
    if [ "$status" -ne 0 ]; then
        {
            echo "FAILED (status $status): POOLMALLOC_SCHEDULE=seed=$seed$others $*"
            tail -n 5 "$folder/$seed.out"
        } >"$folder/$seed.report"
        mv "$folder/$seed.report" "$folder/$seed.failed"
    fi
    rm -f "$folder/$seed.out"
}

# As many at a time as asked for; each job takes every so many-th seed.
stopped()
{
    [ $stop = yes ] && [ -n "$(find "$folder" -name '*.failed')" ]
}

job=0
while [ $job -lt "$jobs" ]; do
    (
        seed=$((first + job)) run=0
        while [ $seed -le "$last" ] && ! stopped; do
            one $seed "$@"
            run=$((run + 1)) seed=$((seed + jobs))
            echo $run >"$folder/job-$job.run"
        done
    ) &
    job=$((job + 1))
done
wait

total=0 failed=0
for count in "$folder"/job-*.run; do
    [ ! -e "$count" ] || total=$((total + $(cat "$count")))
done
for report in "$folder"/*.failed; do
    [ -e "$report" ] || continue
    failed=$((failed + 1))
    cat "$report"
done
echo "$failed of $total seeds failed"
[ "$failed" -eq 0 ]
