#!/bin/sh
# SPDX-License-Identifier: MIT
#
# /etc/poolmalloc.conf as programs find it: it is obeyed, the environment wins
# over it, a file that others may write to is named and ignored, and a
# set-user-id program has the defaults. Each program sees an /etc of its own,
# with nothing else in it.
#
# Usage: settings.sh PROGRAM    (PROGRAM is that of secure.c)
# Exit status 77: it cannot be tried here; the output says why.

set -u

program=$1
skipped=77
nobody=65534

skip() {
    echo "settings.sh: skipped: $*"
    exit $skipped
}

fail() {
    echo "settings.sh: $*" >&2
    cat "$folder/output" "$folder/errors" >&2
    exit 1
}

[ "$(id -u)" = 0 ] || skip "only root can have an /etc of its own"
command -v unshare >/dev/null || skip "there is no unshare"
unshare -m mount -t tmpfs none /etc 2>/dev/null || skip "nothing can be mounted"
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM HUP
chmod 1777 "$folder" || exit 1
cp "$program" "$folder/plain" && cp "$program" "$folder/owned" || exit 1
chown $nobody "$folder/owned" && chmod 4755 "$folder/owned" || exit 1

value() {
    awk -v name="$1" '$1 == name { print $2 }' "$folder/output"
}

# run NAME OPTIONS MODE TEXT: with that file; its standard output and errors go to files.
run() {
    # shellcheck disable=SC2016 # the inner shell's arguments
    POOLMALLOC_OPTIONS=$2 unshare -m sh -c 'mount -t tmpfs none /etc &&
        printf "$1" >/etc/poolmalloc.conf && chmod "$2" /etc/poolmalloc.conf && exec "$3"' \
        sh "$4" "$3" "$folder/$1" >"$folder/output" 2>"$folder/errors" ||
        fail "$1: status $? with the file \"$4\""
}

text='# small\nwindow_bytes=32m   # a comment\n'
run plain "" 644 ""
usual=$(value reserved)
[ "$(value secure)" = 0 ] || skip "even the plain program is secure"
[ ! -s "$folder/errors" ] || fail "something was said of an empty file"
run plain "" 644 "$text"
small=$(value reserved)
[ "$small" -lt "$usual" ] || fail "the file was not obeyed"
[ ! -s "$folder/errors" ] || fail "something was said of a good file"
run plain window_bytes=128m 644 "$text"
[ "$(value reserved)" -gt "$small" ] || fail "the environment does not win over the file"
run plain "" 666 "$text"
[ "$(value reserved)" = "$usual" ] || fail "a file that others may write to was obeyed"
grep -q "^poolmalloc: /etc/poolmalloc.conf: ignored: others" "$folder/errors" ||
    fail "a file that others may write to was not named"
run plain "" 644 "window=1"
grep -q '^poolmalloc: /etc/poolmalloc.conf: unknown option "window=1" ' "$folder/errors" ||
    fail "a setting of the file that is none was not named"

run owned "" 644 "$text\\nnonsense"
[ "$(value secure)" = 1 ] || skip "the rest: there are no set-user-id programs in $folder"
[ "$(value reserved)" = "$usual" ] || fail "owned: the file was obeyed"
[ ! -s "$folder/errors" ] || fail "owned: the file was read"
echo "/etc/poolmalloc.conf is obeyed, but not by set-user-id programs"
