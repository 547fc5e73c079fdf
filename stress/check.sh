#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Build every checked preset and run all its tests.
#
#   sh stress/check.sh [--preset NAME]...
#
# Installs what is missing first (cmake/bootstrap.sh). The output of each step
# goes to build/log/, and is shown where the step fails. The last line is
# "N passed, M failed", the sum over the presets; a preset that does not build,
# or that has no tests, is one failure. Exit code 1 if anything failed.

set -u

all_presets="release check asan ubsan tsan classic schedule"
usage="usage: sh stress/check.sh [--preset NAME]...
Without --preset: $all_presets."
chosen=""
while [ $# -gt 0 ]; do
    case $1 in
    --preset)
        [ $# -ge 2 ] || { echo "$usage" >&2; exit 2; }
        chosen="$chosen $2"
        shift 2
        ;;
    --help) echo "$usage"; exit 0 ;;
    *) echo "$usage" >&2; exit 2 ;;
    esac
done

cd "$(dirname "$0")/.." || exit 1
logs=build/log
mkdir -p "$logs" || exit 1
jobs=$(nproc)
started=$(date +%s)
passed_sum=0
failed_sum=0

progress()
{
    printf '[%4d s] %s\n' $(($(date +%s) - started)) "$*"
}

# step PRESET NAME COMMAND...: run it into its log; show the log if it fails.
step()
{
    preset=$1 name=$2
    shift 2
    log=$logs/$preset-$name.log
    progress "$preset: $name"
    "$@" >"$log" 2>&1 </dev/null && return 0
    progress "$preset: $name FAILED; $log:"
    cat "$log"
    return 1
}

# count ATTRIBUTE: of the test suite in ctest's report.
count()
{
    sed -n '/<testsuite/,/>/s/.*[[:space:]]'"$1"'="\([0-9]*\)".*/\1/p' "$report" | head -n 1
}

# Adds the figures of the preset's report; a report without tests is a failure.
add_figures()
{
    tests=0 failures=0 skipped=0
    if [ -s "$report" ]; then
        tests=$(count tests) failures=$(count failures)
        skipped=$(($(count skipped) + $(count disabled)))
    fi
    passed=$((tests - failures - skipped))
    # Tests that did not run are neither; all of them skipped prove nothing.
    if [ "$passed" -eq 0 ] && [ "$failures" -eq 0 ]; then
        progress "$1: no tests were run"
        failures=1
    elif [ "$status" -ne 0 ] && [ "$failures" -eq 0 ]; then
        progress "$1: ctest failed, though no test did"
        failures=1
    fi
    passed_sum=$((passed_sum + passed))
    failed_sum=$((failed_sum + failures))
    progress "$1: $passed tests passed, $failures failed, $skipped skipped"
}

check_preset()
{
    # The tests of the benchmarks are run once, with what is released.
    bench=OFF
    [ "$1" != release ] || bench=ON
    if ! step "$1" configure cmake --preset "$1" -DPM_BUILD_BENCH=$bench ||
        ! step "$1" build cmake --build --preset "$1" --parallel "$jobs"; then
        failed_sum=$((failed_sum + 1))
        return
    fi
    report=$PWD/$logs/$1.xml
    rm -f "$report"
    status=0
    # One more than cores: a third of their time, tests wait for something.
    step "$1" test ctest --preset "$1" --parallel $((jobs + 1)) \
        --output-junit "$report" || status=$?
    add_figures "$1"
}

if ! sh cmake/bootstrap.sh build test bench real; then
    echo "0 passed, 1 failed"
    exit 1
fi
for preset in ${chosen:-$all_presets}; do
    check_preset "$preset"
done
progress "done"
echo "$passed_sum passed, $failed_sum failed"
[ "$failed_sum" -eq 0 ]
