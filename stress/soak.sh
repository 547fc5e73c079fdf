#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Run the stress programs in turn, with fresh seeds, for so many hours.
#
#   sh stress/soak.sh HOURS [--preset NAME]... [--keep-going] [--seed N]
#   sh stress/soak.sh --list      prints the table of the runs
#
# HOURS may be a fraction (0.5). Builds the presets first: release and check, or
# those named (asan, tsan, ... of CMakePresets.json). Each run begins with the
# line that repeats it. A run that fails ends the soak, or with --keep-going is
# counted; its output stays in build/soak/. The last line sums up. --seed N: the
# seed of the first run (default: from the clock); each run takes the next. A
# run is ended after SOAK_RUN_SECONDS (1800), which counts as failed. Ctrl-C
# ends the run and sums up.
# Exit code: 0 every run was clean, 1 one failed or nothing ran, 2 wrong
# arguments, 130 interrupted.
#
# For tests: SOAK_TABLE names a file to use instead of the table of runs, and
# SOAK_BINARIES the folder of the programs, so that nothing is built; after
# SOAK_ROUNDS rounds of the table it ends.

set -u

usage="usage: sh stress/soak.sh HOURS [--preset NAME]... [--keep-going] [--seed N]"

give_up()
{
    printf 'soak: %s\n%s\n' "$1" "$usage" >&2
    exit 2
}

# A run in each line: presets, options of the library (- for none), program,
# arguments. OPS(N): so many operations, fewer where they are slow. Programs
# named cgroup:NAME run under a limit of memory, where one can be made.
table()
{
    nothing_kept=window_bytes=16m,keep_bytes=0,heap_keep_bytes=0
    echo "all - stress --mode calls --threads 1 --ops OPS(60000)"
    echo "all - stress --mode calls --threads 6 --ops OPS(60000)"
    echo "all - handover --threads 4 --ops OPS(1000000)"
    echo "all - fork_storm --threads 3 --forkers 3 --forks OPS(30)"
    echo "all $nothing_kept fork_storm --threads 2 --forkers 4 --forks OPS(20)"
    echo "all - signals --threads 4 --ops OPS(300000)"
    echo "all $nothing_kept signals --threads 3 --ops OPS(200000)"
    echo "all - drift --threads 2 --generations OPS(170)"
    for preset in release check classic ubsan; do
        echo "$preset - pressure --threads 3 --ops OPS(200000)"
        echo "$preset $nothing_kept pressure --threads 8 --limit-mib 80 --ops OPS(200000)"
        echo "$preset - cgroup:pressure --limit-mib 0 --live-mib 32 --ops OPS(200000)"
    done
    for mode in mixed all-to-all churn births ring tree mesh cross same; do
        echo "all - stress --mode $mode --threads 4 --ops OPS(300000)"
        echo "all - stress --mode $mode --threads 16 --ops OPS(200000)"
        echo "all $nothing_kept stress --mode $mode --threads 6 --ops OPS(200000)"
    done
}

# percent PRESET: the share of the operations that a slow build does.
percent()
{
    case $1 in
    release) echo 100 ;;
    tsan | schedule) echo 6 ;;
    asan | coverage) echo 20 ;;
    *) echo 40 ;;
    esac
}

hours="" presets="" keep_going=no seed=$(date +%s)
while [ $# -gt 0 ]; do
    case $1 in
    --preset | --seed)
        [ $# -ge 2 ] || give_up "$1 wants a value"
        if [ "$1" = --seed ]; then seed=$2; else presets="$presets $2"; fi
        shift
        ;;
    --keep-going) keep_going=yes ;;
    --help) echo "$usage"; exit 0 ;;
    --list) table; exit 0 ;;
    -*) give_up "$1 is not known" ;;
    *) [ -z "$hours" ] || give_up "only one number of hours, not \"$1\" too"; hours=$1 ;;
    esac
    shift
done
[ -n "$hours" ] || give_up "for how many hours?"
seconds=$(printf '%s\n' "$hours" |
    awk '/^[0-9]*[.]?[0-9]+$/ && $1 > 0 { printf "%d\n", $1 * 3600 + 0.999 }')
[ -n "$seconds" ] || give_up "\"$hours\" is no number of hours above 0, such as 2 or 0.5"
case $seed in
'' | *[!0-9]*) give_up "--seed wants a number, not \"$seed\"" ;;
esac
presets=${presets:-release check}

cd "$(dirname "$0")/.." || exit 1
logs=${SOAK_LOGS:-build/soak}
mkdir -p "$logs" || exit 1
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-halt_on_error=1:print_stacktrace=1}"
run_seconds=${SOAK_RUN_SECONDS:-1800}
first_seed=$seed last_seed=none
runs=0 failed=0 skipped=0 operations=0 child="" interrupted=no ended=no

build()
{
    [ -z "${SOAK_BINARIES:-}" ] || return 0
    sh cmake/bootstrap.sh build test || exit 1
    for preset in $presets; do
        echo "soak: building $preset"
        { cmake --preset "$preset" && cmake --build --preset "$preset" --target stress_programs; } \
            >"$logs/build-$preset.log" 2>&1 && continue
        cat "$logs/build-$preset.log"
        echo "soak: $preset does not build (see above)"
        exit 1
    done
}

# Sums up, also when interrupted. A soak without a run has shown nothing.
sum_up()
{
    echo "soak: $runs runs, $operations operations, seeds $first_seed to $last_seed;" \
        "$failed failed, $skipped skipped"
    [ $interrupted = no ] || exit 130
    [ "$failed" -eq 0 ] && [ "$runs" -gt 0 ]
    exit $?
}

# The child is in the background, so that a signal ends the wait for it at once.
# shellcheck disable=SC2317 # called by the trap
interrupt()
{
    interrupted=yes
    [ -z "$child" ] || kill -TERM "$child" 2>/dev/null
}

# report STATUS LINE LOG SECONDS: counts the run, and shows what went wrong.
report()
{
    done_now=$(sed -n 's/^[a-z_]*: done, \([0-9]*\) operations.*/\1/p' "$3" | tail -n 1)
    operations=$((operations + ${done_now:-0}))
    case $1 in
    0)
        echo "    ok, $4 s, ${done_now:-no} operations"
        rm -f "$3"
        ;;
    77)
        skipped=$((skipped + 1)) runs=$((runs - 1))
        echo "    skipped: $(tail -n 1 "$3")"
        rm -f "$3"
        ;;
    *)
        failed=$((failed + 1))
        tail -n 40 "$3"
        reason=""
        [ "$1" -ne 124 ] || reason=" (ended after $run_seconds s)"
        echo "soak: FAILED with status $1$reason; all of its output is in $3; to repeat it:"
        echo "  $2"
        [ $keep_going = yes ] || ended=yes
        ;;
    esac
}

# one PRESET OPTIONS PROGRAM ARGUMENT...
one()
{
    preset=$1 options=$2 program=$3
    shift 3
    binaries=${SOAK_BINARIES:-build/$preset/stress}
    case $program in
    cgroup:*)
        set -- sh stress/limits.sh cgroup 104 120 "$binaries/stress_${program#cgroup:}" "$@"
        ;;
    *) set -- "$binaries/stress_$program" "$@" ;;
    esac
    set -- "$@" --seed "$seed"
    [ "$options" = - ] || set -- env "POOLMALLOC_OPTIONS=$options" "$@"
    last_seed=$seed seed=$((seed + 1)) runs=$((runs + 1))
    log=$logs/seed-$last_seed.log
    began=$(date +%s)
    printf '[%6d of %d s] %s\n' $((began - started)) "$seconds" "$*"
    timeout -s ABRT -k 10 "$run_seconds" "$@" >"$log" 2>&1 </dev/null &
    child=$!
    status=0
    wait $child || status=$?
    if [ $interrupted = yes ]; then
        wait $child # has been told to end
        runs=$((runs - 1))
        echo "soak: interrupted in this run"
        return
    fi
    child=""
    report $status "$*" "$log" $(($(date +%s) - began))
}

# scaled PRESET ARGUMENT...: with OPS(N) as the preset's share.
scaled()
{
    share=$(percent "$1")
    shift
    for word in "$@"; do
        case $word in
        OPS\(*\))
            word=${word#OPS(}
            echo $((${word%)} * share / 100 + 1))
            ;;
        *) echo "$word" ;;
        esac
    done
}

round()
{
    while read -r where options program arguments; do
        for preset in $presets; do
            [ "$where" = all ] || [ "$where" = "$preset" ] || continue
            [ $interrupted$ended = nono ] && [ $(($(date +%s) - started)) -lt "$seconds" ] || return
            # Arguments hold no blanks: the words are split on purpose.
            # shellcheck disable=SC2046,SC2086
            one "$preset" "$options" "$program" $(scaled "$preset" $arguments)
        done
    done <"$logs/table"
}

trap interrupt INT TERM HUP
build
if [ -n "${SOAK_TABLE:-}" ]; then cat "$SOAK_TABLE"; else table; fi >"$logs/table"
started=$(date +%s)
rounds_left=${SOAK_ROUNDS:--1} # below 0: no end
while [ "$rounds_left" -ne 0 ] && [ $interrupted$ended = nono ] &&
    [ $(($(date +%s) - started)) -lt "$seconds" ]; do
    before=$((runs + skipped))
    rounds_left=$((rounds_left - 1))
    round
    [ $((runs + skipped)) -gt "$before" ] || break # no line is for these presets
done
sum_up
