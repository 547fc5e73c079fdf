#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A set-user-id or set-group-id program ignores POOLMALLOC_OPTIONS: an
# unprivileged caller must not have files written, nor memory laid out, in the
# name of the program's owner. The same program without the bit obeys, which
# shows that the options were good ones.
#
# Usage: secure.sh PROGRAM user|group    (PROGRAM is that of secure.c)
# Exit status 77: it cannot be tried here; the output says why.

set -u

program=$1 bit=$2
skipped=77
nobody=65534

skip() {
    echo "secure.sh: skipped: $*"
    exit $skipped
}

fail() {
    echo "secure.sh: $*" >&2
    cat "$folder/output" "$folder/errors" >&2
    exit 1
}

[ "$(id -u)" = 0 ] || skip "only root can make a program somebody else's"
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM HUP
chmod 1777 "$folder" || exit 1
cp "$program" "$folder/plain" && cp "$program" "$folder/owned" || exit 1
case $bit in
user) chown $nobody "$folder/owned" && chmod 4755 "$folder/owned" || exit 1 ;;
group) chgrp $nobody "$folder/owned" && chmod 2755 "$folder/owned" || exit 1 ;;
*) fail "unknown bit $bit" ;;
esac

value() {
    awk -v name="$1" '$1 == name { print $2 }' "$folder/output"
}

# run NAME OPTIONS: its standard output and errors go to files.
run() {
    rm -f "$folder/statistics"
    POOLMALLOC_OPTIONS=$2 "$folder/$1" >"$folder/output" 2>"$folder/errors" ||
        fail "$1: status $? with \"$2\""
    [ "$(value variable)" = 1 ] || fail "$1: the variable did not reach it"
}

options=window_bytes=32m,stats_at_exit=$folder/statistics
run plain ""
usual=$(value reserved)
[ "$(value secure)" = 0 ] || skip "even the plain program is secure"
run plain "$options"
[ -s "$folder/statistics" ] || fail "plain: no statistics were written"
[ "$(value reserved)" -lt "$usual" ] || fail "plain: window_bytes was not obeyed"
run plain nonsense
[ -s "$folder/errors" ] || fail "plain: no word about an option that is none"

run owned "$options"
if [ "$(value secure)" != 1 ]; then
    [ "$(value nosuid)" = 0 ] || skip "$folder is mounted nosuid"
    [ "$(value no_new_privs)" = 0 ] || skip "no_new_privs is set"
    fail "owned: the kernel does not say that it is secure"
fi
[ ! -e "$folder/statistics" ] || fail "owned: statistics were written"
[ "$(value reserved)" = "$usual" ] || fail "owned: window_bytes was obeyed"
[ ! -s "$folder/errors" ] || fail "owned: it said something"
run owned nonsense
[ ! -s "$folder/errors" ] || fail "owned: the variable was read"
echo "a set-$bit-id program ignores POOLMALLOC_OPTIONS"
