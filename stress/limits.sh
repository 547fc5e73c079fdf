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
#   cgroup HIGH MAX  runs it in a cgroup (version 2) of its own, with so many MiB
#                    of memory.high and memory.max and no swap; needs the right
#                    to make one beside or below the one it is in
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

# The folder in which a cgroup with a limit of memory can be made: that of our
# own, which must hand the controller on; or ours, where it is the root.
cgroup_parent() {
    root=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
    own=$(sed -n 's/^0:://p' /proc/self/cgroup)
    [ -n "$root" ] && [ -n "$own" ] || return 1
    [ "$own" = / ] || own=$(dirname "$own")
    parent=$root${own%/}
    grep -qw memory "$parent/cgroup.subtree_control" 2>/dev/null && [ -w "$parent" ]
}

run_cgroup() {
    [ $# -ge 3 ] || {
        echo "usage: limits.sh cgroup HIGH_MIB MAX_MIB PROGRAM [ARGUMENT...]" >&2
        exit 2
    }
    cgroup_parent || skip "no cgroup of version 2 with a limit of memory can be made here"
    group=$parent/poolmalloc-stress-$$
    high=$1 max=$2
    shift 2
    mkdir "$group" 2>/dev/null || skip "$group cannot be made"
    trap 'rmdir "$group"' EXIT
    trap 'exit 1' INT TERM HUP
    echo "${high}M" >"$group/memory.high" && echo "${max}M" >"$group/memory.max" || exit 1
    [ ! -e "$group/memory.swap.max" ] || echo 0 >"$group/memory.swap.max" || exit 1
    sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$group" timeout "$seconds" "$@"
    status=$?
    grep -s '^\(high\|max\|oom_kill\) ' "$group/memory.events"
    exit $status
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
cgroup) run_cgroup "$@" ;;
*)
    echo "limits.sh: unknown case $case" >&2
    exit 2
    ;;
esac
