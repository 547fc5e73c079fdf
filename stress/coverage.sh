#!/bin/sh
# SPDX-License-Identifier: MIT
#
# How much of lib/ the tests run: builds the preset "coverage", runs all its
# tests, prints each file's lines and branches and the sum, and fails below the
# bar of gcovr.cfg, or when a test fails.
#
#   sh stress/coverage.sh [REGEX]
#
# With REGEX only the tests whose names match (of ctest; for a quick look, the
# bar is then not asked for). Installs what is missing first. Writes a page for
# each file to build/coverage-report/index.html.

set -u

[ $# -le 1 ] || { echo "usage: sh stress/coverage.sh [REGEX]" >&2; exit 2; }
cd "$(dirname "$0")/.." || exit 1
only=${1:-}
build=build/coverage
report=build/coverage-report
log=build/log/coverage.log
started=$(date +%s)
mkdir -p "$report" build/log || exit 1

progress()
{
    printf '[%4d s] coverage: %s\n' $(($(date +%s) - started)) "$*"
}

# step WHAT COMMAND...: into the log; the end of the log is shown if it fails.
step()
{
    progress "$1"
    shift
    "$@" >"$log" 2>&1 </dev/null && return 0
    tail -n 60 "$log"
    progress "FAILED: $*; all of its output is in $log"
    return 1
}

# Counters are added up over all runs of the programs since the last build.
forget_counts()
{
    find "$build" -name '*.gcda' -exec rm -f {} +
}

sh cmake/bootstrap.sh build test gcovr || exit 1
step "configure" cmake --preset coverage || exit 1
step "build" cmake --build --preset coverage --parallel "$(nproc)" || exit 1
forget_counts
failed=0
step "run the tests${only:+ that match $only}" \
    ctest --preset coverage --parallel "$(nproc)" ${only:+-R "$only"} || failed=1
grep -E '^[0-9]+% tests passed' "$log"

progress "add up"
bars=""
[ -z "$only" ] || bars="--fail-under-line 0 --fail-under-branch 0"
# The bars hold no blanks but between options.
# shellcheck disable=SC2086
gcovr --config gcovr.cfg --root . --print-summary $bars \
    --html-details "$report/index.html" --txt "$report/lines.txt" "$build" >"$report/summary.txt" \
    2>"$log" || failed=1
gcovr --config gcovr.cfg --root . --branches --fail-under-line 0 --fail-under-branch 0 \
    --txt "$report/branches.txt" "$build" 2>>"$log" || failed=1
cat "$report/lines.txt" "$report/branches.txt" "$report/summary.txt"
grep -iE 'fail|error' "$log"
progress "each line: $report/index.html"
[ "$failed" -eq 0 ] || progress "FAILED: a test failed, or the bar of gcovr.cfg was not reached"
exit "$failed"
