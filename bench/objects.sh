#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Builds the release libraries and the benchmarks, with all the set-up of a fresh machine, then
# compares the object layer with other ways to own objects. See --help.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)

for argument in "$@"; do
    case $argument in
    -h | --help) exec /usr/bin/python3 -B "$root/bench/compare_objects.py" --help ;;
    esac
done
# A wrong option is refused at once. The set-up below may have to install python first.
if [ -x /usr/bin/python3 ]; then
    /usr/bin/python3 -B "$root/bench/compare_objects.py" --check-options "$@"
fi

# The build speaks on stderr: stdout is for the table.
(
    cd "$root"
    sh cmake/bootstrap.sh build bench
    cmake --preset release -DPM_BUILD_BENCH=ON
    cmake --build --preset release
) >&2

exec /usr/bin/python3 -B "$root/bench/compare_objects.py" "$@"
