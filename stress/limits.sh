#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The allocator where memory or address space is short, or where a tool
# watches. One case per run.
#
# Usage: limits.sh CASE PROGRAM [ARGUMENT...]
#   ulimit KIB       runs the program with that much address space
#   callgrind        runs it under callgrind
#   memcheck         runs it under memcheck, which leaves malloc to the program
#   overcommit       runs it while the system promises no more memory than it
#                    has; needs root, and leaves the setting as it was
# Exit status 77: the case cannot be tried here; the output says why.

set -u

skipped=77
setting=/proc/sys/vm/overcommit_memory
seconds=120
headroom_kib=4000000

skip() {
    echo "limits.sh: skipped: $*"
    exit $skipped
}

run_ulimit() {
    kib=$1
    shift
    # shellcheck disable=SC3045 # every shell in use has ulimit -v
    ulimit -v "$kib" || exit 1
    exec "$@"
}

run_valgrind() {
    command -v valgrind >/dev/null 2>&1 || skip "valgrind is not installed"
    exec valgrind -q --error-exitcode=9 "$@"
}

kib_of() {
    awk -v name="$1:" '$1 == name { print $2 }' /proc/meminfo
}

# The setting is the whole system's, so it is changed only where much memory is
# unpromised, and for a short time. Programs that reserve terabytes (ThreadSanitizer's)
# do not start meanwhile.
run_overcommit() {
    [ -w "$setting" ] && [ "$(id -u)" = 0 ] || skip "$setting cannot be written"
    free_kib=$(($(kib_of CommitLimit) - $(kib_of Committed_AS)))
    [ "$free_kib" -gt $headroom_kib ] || skip "only $free_kib KiB are left to promise"
    before=$(cat "$setting") || exit 1
    # the subshell that fails to write says so; the redirection must not end this one
    (echo 2 >"$setting") 2>/dev/null || skip "$setting cannot be written"
    trap 'echo "$before" >"$setting"' EXIT
    trap 'exit 1' INT TERM HUP
    [ "$(cat "$setting")" = 2 ] || skip "$setting does not take a value"
    timeout "$seconds" "$@"
    exit $?
}

[ $# -ge 2 ] || {
    echo "usage: limits.sh CASE PROGRAM [ARGUMENT...]" >&2
    exit 2
}
case=$1
shift
case $case in
ulimit) run_ulimit "$@" ;;
callgrind) run_valgrind --tool=callgrind --callgrind-out-file=/dev/null "$@" ;;
memcheck) run_valgrind --tool=memcheck --soname-synonyms=somalloc=nouserintercepts "$@" ;;
overcommit) run_overcommit "$@" ;;
*)
    echo "limits.sh: unknown case $case" >&2
    exit 2
    ;;
esac
