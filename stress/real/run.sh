#!/bin/sh
# SPDX-License-Identifier: MIT
#
# One real program with and without the library preloaded: the output must be
# the same, and the library's own counters must show that it served at least a
# million allocations, so that a preload that silently failed does not pass.
# Programs that have an allocator of their own in front, or that do most of
# their work elsewhere, name a smaller number.
#
# Usage: run.sh LIBRARY PROGRAM
#   PROGRAM is one of the other files here, without .sh
# Exit status 77: the program is not installed.
#
# PROGRAM.sh defines run(), which writes what must be the same. Each workload is
# bounded, deterministic and made here; servers listen on a socket in the run's
# own folder only, and are ended by their process id.

set -u

here=$(cd "$(dirname "$0")" && pwd)
least_mallocs=1000000
not_installed=77
# Debian's programs, whatever else is installed.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH

fail()
{
    echo "run.sh: $*" >&2
    exit 1
}

known=$(cd "$here" && ls -- *.sh | sed 's/\.sh$//' | grep -vx run | tr '\n' ' ')
[ $# -eq 2 ] || fail "usage: run.sh LIBRARY PROGRAM, which is one of: $known"
library=$(realpath "$1") && [ -r "$library" ] || fail "no library $1"
program=$2
case " $known" in
*" $program "*) ;;
*) fail "unknown program $program: known are $known" ;;
esac

folder=$(mktemp -d) || exit 1
socket=$folder/socket
server=

# Its statistics are written when it has ended; what does not end is killed.
end_server()
{
    [ -n "$server" ] || return 0
    kill "$server" 2>/dev/null
    tries=0
    while kill -0 "$server" 2>/dev/null && [ $tries -lt 300 ]; do
        tries=$((tries + 1))
        sleep 0.1
    done
    kill -9 "$server" 2>/dev/null && echo "run.sh: $program had to be killed" >&2
    wait "$server"
    status=$?
    server=
    return $status
}

clean()
{
    end_server
    rm -rf "$folder"
}
trap clean EXIT
trap 'exit 1' INT TERM HUP

# preload: "" without, the library with. The workloads start what they measure
# through `under`, so that no helper's allocations are counted.
preload=
under()
{
    if [ -n "$preload" ]; then
        env LD_PRELOAD="$preload" POOLMALLOC_OPTIONS="stats_at_exit=$folder/statistics" "$@"
    else
        env -u LD_PRELOAD "$@"
    fi
}

needs()
{
    for tool in "$@"; do
        command -v "$tool" >/dev/null 2>&1 && continue
        echo "run.sh: $tool is not installed"
        exit $not_installed
    done
}

# start COMMAND...: a server, under the library or not.
start()
{
    rm -f "$socket"
    if [ -n "$preload" ]; then
        LD_PRELOAD="$preload" POOLMALLOC_OPTIONS="stats_at_exit=$folder/statistics" \
            "$@" >"$folder/server.log" 2>&1 &
    else
        "$@" >"$folder/server.log" 2>&1 &
    fi
    server=$!
}

# until_ready COMMAND...: until it succeeds, while the server lives.
until_ready()
{
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt 600 ] && kill -0 "$server" 2>/dev/null && sleep 0.1 && continue
        echo "the server does not answer:" >&2
        cat "$folder/server.log" >&2
        return 1
    done
}

# ended: after a request to stop; the server's status.
ended()
{
    wait "$server"
    status=$?
    server=
    return $status
}

sum_of_mallocs()
{
    awk -F': *' '$1 == "mallocs" { sum += $2 } END { printf "%.0f\n", sum }' "$1"
}

run_both()
{
    preload=
    if ! run >"$folder/without" 2>&1; then
        tail -50 "$folder/without"
        fail "$program fails without preload"
    fi
    preload=$library
    if ! run >"$folder/with" 2>&1; then
        tail -50 "$folder/with"
        fail "$program fails with preload"
    fi
    if ! cmp -s "$folder/without" "$folder/with"; then
        diff "$folder/without" "$folder/with" | head -20
        fail "$program: the output differs with preload"
    fi
    [ -s "$folder/without" ] || fail "$program: no output to compare"
    [ -s "$folder/statistics" ] || fail "$program: the library wrote no statistics: not preloaded?"
    mallocs=$(sum_of_mallocs "$folder/statistics")
    processes=$(grep -c '^poolmalloc statistics' "$folder/statistics")
    echo "$program: same output, $mallocs allocations in $processes processes"
    [ "$mallocs" -ge $least_mallocs ] || fail "$program: fewer than $least_mallocs allocations"
}

# shellcheck source=/dev/null
. "$here/$program.sh"
run_both
