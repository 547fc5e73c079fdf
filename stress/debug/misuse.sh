#!/bin/sh
# SPDX-License-Identifier: MIT
#
# For the mutants: misuse.sh PROGRAM CASE passes when the case is caught in debug mode.
set -eu
here=$(dirname "$0")
exec python3 -B "$here/misuse_test.py" "$1" "$here/cases.txt" debug "$2"
