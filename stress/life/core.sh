#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What a core file has: the contents of blocks, but not the reservation; and
# with core_dump=tables not the contents either.
#
# Usage: core.sh PROGRAM    (PROGRAM is that of core.c)
# Exit status 77: it cannot be tried here; the output says why.

set -u

program=$1
skipped=77
window=8g
most_kib=65536 # far less than the reservation, and more than its tables, also with small units

skip() {
    echo "core.sh: skipped: $*"
    exit $skipped
}

fail() {
    echo "core.sh: $*" >&2
    exit 1
}

case $(cat /proc/sys/kernel/core_pattern) in
'|'* | */*) skip "the system puts core files elsewhere" ;;
esac
# shellcheck disable=SC3045 # every shell that this runs in has it
ulimit -c unlimited 2>/dev/null || skip "no core files may be written"
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM HUP
cd "$folder" || exit 1

# texts OPTIONS: how often a core file made with them has the text
texts() {
    rm -f core*
    (POOLMALLOC_OPTIONS=window_bytes=$window,$1 "$program") >output 2>&1
    [ $? -gt 128 ] || fail "the program did not crash: $(cat output)"
    set -- core*
    [ -s "$1" ] || skip "there is no core file"
    kib=$(($(wc -c <"$1") / 1024))
    [ $kib -le $most_kib ] || fail "the core file has $kib KiB"
    count=$(grep -a -o "the-text-of-a-block" "$1" | wc -l)
}

texts ""
[ "$count" = 2 ] || fail "of two texts in blocks a core file has $count"
texts core_dump=all
[ "$count" = 2 ] || fail "with core_dump=all, of two texts in blocks a core file has $count"
texts core_dump=tables
[ "$count" = 0 ] || fail "with core_dump=tables a core file has $count texts of blocks"
echo "core files have blocks, and none with core_dump=tables; no more than $kib KiB"
