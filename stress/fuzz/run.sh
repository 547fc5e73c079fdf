#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Fuzzes the malloc family and the options parser with clang's libFuzzer,
# AddressSanitizer and UndefinedBehaviorSanitizer (preset "fuzz").
#
#   sh stress/fuzz/run.sh RUNS [--seed N] [--build DIR] [--no-coverage]
#
# Each target has RUNS runs, from the committed corpus on: the API target twice,
# as users have it and with a tiny window that keeps nothing. Says how much of
# lib/ was covered. What is found stays in DIR (build/fuzz), and the last lines
# say how to repeat it. Exit code 1: a fault; 77: no clang with libFuzzer here.

set -u

usage="usage: sh stress/fuzz/run.sh RUNS [--seed N] [--build DIR] [--no-coverage]"
root=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
runs="" seed=1 build=$root/build/fuzz coverage=yes
while [ $# -gt 0 ]; do
    case $1 in
    --seed | --build)
        [ $# -ge 2 ] || { echo "$usage" >&2; exit 2; }
        if [ "$1" = --seed ]; then seed=$2; else build=$2; fi
        shift
        ;;
    --no-coverage) coverage=no ;;
    [0-9]*) runs=$1 ;;
    *) echo "$usage" >&2; exit 2 ;;
    esac
    shift
done
case $runs$seed in
'' | *[!0-9]*) echo "$usage" >&2; exit 2 ;;
esac
[ -n "$runs" ] || { echo "$usage" >&2; exit 2; }

say()
{
    echo "fuzz: $*"
}

skip()
{
    say "SKIPPED: $*"
    exit 77
}

command -v clang >/dev/null 2>&1 || skip "there is no clang (Debian: apt-get install clang)"
command -v ninja >/dev/null 2>&1 || skip "there is no ninja (Debian: apt-get install ninja-build)"
mkdir -p "$build" || exit 1
build=$(cd "$build" && pwd) || exit 1
work=$build/work
rm -rf "$work"
mkdir -p "$work" || exit 1
printf 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return d && n ? 0 : 0; }\n' \
    >"$work/probe.c"
clang -fsanitize=fuzzer,address,undefined "$work/probe.c" -o "$work/probe" >"$work/log" 2>&1 ||
    skip "clang cannot link libFuzzer (Debian: apt-get install libclang-rt-14-dev)"

# Shows the output of what failed.
quietly()
{
    "$@" >"$work/log" 2>&1 </dev/null && return 0
    cat "$work/log"
    say "failed: $*"
    exit 1
}

say "building in $build"
cd "$root" || exit 1
quietly cmake --preset fuzz -B "$build"
quietly cmake --build "$build" --parallel "$(nproc)" \
    --target fuzz_api fuzz_options stress_fuzz_api stress_fuzz_options

programs=$build/stress/fuzz
corpus=$root/stress/fuzz/corpus
failed=0

# fuzz NAME TARGET OPTIONS ARGUMENT...: runs a target; its corpus grows in work/NAME.
fuzz()
{
    name=$1 target=$2 options=$3
    shift 3
    mkdir -p "$work/$name"
    say "$name: $runs runs, seed $seed${options:+, POOLMALLOC_OPTIONS=$options}"
    if POOLMALLOC_OPTIONS=$options LLVM_PROFILE_FILE=$work/$name.profraw \
        "$programs/fuzz_$target" -runs="$runs" -seed="$seed" -artifact_prefix="$build/$name-" \
        "$@" "$work/$name" "$corpus/$target" >"$work/$name.log" 2>&1 </dev/null; then
        grep DONE "$work/$name.log"
        return
    fi
    failed=1
    tail -n 60 "$work/$name.log"
    say "$name FOUND A FAULT. The input is named above (\"Test unit written to\"). Repeat it with"
    say "  POOLMALLOC_OPTIONS=$options $programs/stress_fuzz_$target INPUT"
    say "or, if that is clean, the whole run with: sh stress/fuzz/run.sh $runs --seed $seed"
}

# The deadline of purging would make a run depend on the time that it takes.
fuzz api api purge_delay_ms=1000000 -max_len=400
fuzz api-tiny-window api window_bytes=16m,keep_bytes=0,heap_keep_bytes=0,purge_delay_ms=0 \
    -max_len=400
fuzz options options "" -max_len=600 -len_control=0 -dict="$root/stress/fuzz/options.dict"

# report PATTERN PROGRAM...: the totals of llvm-cov for the parts of lib/ named by the pattern.
report()
{
    shown=$1
    shift
    llvm-cov report "$@" -instr-profile="$work/all.profdata" "$root/lib" 2>"$work/log" |
        awk -v shown="$shown" \
            '$1 ~ shown { printf "  %-26s lines %s, branches %s\n", $1, $10, $13 }'
}

if [ "$failed" -eq 0 ] && [ "$coverage" = yes ]; then
    if command -v llvm-cov >/dev/null 2>&1 && command -v llvm-profdata >/dev/null 2>&1; then
        quietly llvm-profdata merge -o "$work/all.profdata" "$work/api.profraw" \
            "$work/api-tiny-window.profraw" "$work/options.profraw"
        say "coverage of lib/ by both targets:"
        report '[.][ch]$|^TOTAL' "$programs/fuzz_api" -object "$programs/fuzz_options"
    else
        say "no coverage figure: llvm-cov and llvm-profdata are missing (Debian: llvm)"
    fi
fi
[ "$failed" -eq 0 ] && say "no fault found"
exit "$failed"
