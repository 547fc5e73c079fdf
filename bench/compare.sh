#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Builds the release library and the benchmarks, with all the set-up of a fresh
# machine, then compares poolmalloc with glibc and jemalloc. See --help.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)

for argument in "$@"; do
    case $argument in
    -h | --help) exec /usr/bin/python3 -B "$root/bench/compare.py" --help ;;
    esac
done
# A wrong option is refused at once. The set-up below may have to install python first.
if [ -x /usr/bin/python3 ]; then
    /usr/bin/python3 -B "$root/bench/compare.py" --check-options "$@"
fi

# The build speaks on stderr: stdout is for the table.
(
    cd "$root"
    sh cmake/bootstrap.sh build bench
    cmake --preset release -DPM_BUILD_BENCH=ON
    cmake --build --preset release
) >&2

exec /usr/bin/python3 -B "$root/bench/compare.py" "$@"
