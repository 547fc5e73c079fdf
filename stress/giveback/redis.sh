#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Redis is filled and flushed: how much stays in memory? Stands for: caches and
# stores whose content goes at once. Source: "an idle process keeps its peak"
# (reference/traps.md, asks 1). Two servers, one after another: FLUSHALL, which
# the server's main thread does, and FLUSHALL ASYNC, where another thread frees.
# Within a second after the freeing is over, resident memory must be at most
# what the server says is live, plus the larger of 32 MiB and a tenth of the peak.
#
# Usage: redis.sh LIBRARY [--allocators] [--values N]
#   --allocators   also glibc and jemalloc, for comparison; their bars do not count
# Exit status 77: redis is not installed.
#
# The values have 60 to 4000 bytes, the same in each run. The server keeps no
# file, listens on a socket in a directory of its own only, and is ended by its
# process id. A system's own Redis may be linked to jemalloc: glibc is measured
# by preloading the C library, so that its malloc is found first.

set -u

skipped=77
python=/usr/bin/python3
values=400000
all_allocators=no
room_kib=32768

fail() {
    echo "redis.sh: $*" >&2
    exit 1
}

[ $# -ge 1 ] || fail "usage: redis.sh LIBRARY [--allocators] [--values N]"
library=$(realpath "$1") && [ -r "$library" ] || fail "no library $1"
shift
while [ $# -gt 0 ]; do
    case $1 in
    --allocators) all_allocators=yes ;;
    --values)
        [ $# -ge 2 ] || fail "how many values?"
        values=$2
        shift
        ;;
    *) fail "unknown argument $1" ;;
    esac
    shift
done
for tool in redis-server redis-cli "$python"; do
    command -v "$tool" >/dev/null 2>&1 && continue
    echo "redis.sh: skipped: $tool is not installed"
    exit $skipped
done

folder=$(mktemp -d) || exit 1
socket=$folder/socket
server=
clean() {
    [ -z "$server" ] || kill "$server" 2>/dev/null
    rm -rf "$folder"
}
trap clean EXIT
trap 'exit 1' INT TERM HUP

cli() {
    redis-cli -s "$socket" "$@"
}

# start PRELOAD
start() {
    rm -f "$socket"
    LD_PRELOAD=$1 POOLMALLOC_OPTIONS="stats_at_exit=$folder/statistics" \
        redis-server --port 0 --unixsocket "$socket" --save '' --appendonly no \
        --dir "$folder" --daemonize no >"$folder/redis.log" 2>&1 &
    server=$!
    tries=0
    until cli ping >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt 100 ] && kill -0 "$server" 2>/dev/null || {
            cat "$folder/redis.log" >&2
            fail "the server does not start"
        }
        sleep 0.1
    done
}

stop() {
    cli shutdown nosave >/dev/null 2>&1
    wait "$server"
    status=$?
    server=
    [ $status -eq 0 ] || fail "the server ended with status $status"
}

# The protocol's own form, so that the server does what it does for clients.
fill() {
    "$python" - "$socket" "$values" <<'END' || fail "the values were not taken"
import random
import socket
import sys
import threading

values = int(sys.argv[2])
server = socket.socket(socket.AF_UNIX)
server.settimeout(60)
server.connect(sys.argv[1])
replies = []


def take_replies():
    left = len(b"+OK\r\n") * values
    while left > 0:
        got = server.recv(1 << 16)
        if not got or got.strip(b"+OK\r\n"):
            return
        left -= len(got)
    replies.append(left)


reader = threading.Thread(target=take_replies)
reader.start()
filler = b"abcdefghijklmnopqrstuvwxyz012345" * 126
numbers = random.Random(1)
chunk = []
for i in range(values):
    key = b"key:%d" % i
    size = numbers.randint(60, 4000)
    chunk.append(b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n"
                 % (len(key), key, size, filler[:size]))
    if len(chunk) == 100 or i + 1 == values:
        server.sendall(b"".join(chunk))
        chunk = []
reader.join()
sys.exit(replies != [0])
END
    [ "$(cli dbsize)" = "$values" ] || fail "the server has not $values values"
}

resident_kib() {
    awk '$1 == "Rss:" { print $2 }' "/proc/$server/smaps_rollup"
}

# info SECTION NAME
info() {
    cli info "$1" | tr -d '\r' | awk -F: -v name="$2" '$1 == name { print $2 }'
}

# Until the other thread has freed everything: that is when the second starts.
await_freed() {
    tries=0
    while [ "$(info memory lazyfree_pending_objects)" != 0 ]; do
        tries=$((tries + 1))
        [ $tries -lt 1200 ] || fail "the values are not freed"
        sleep 0.05
    done
}

mib() {
    echo "$1" | awk '{ printf "%.1f", $1 / 1024 }'
}

# measure NAME PRELOAD FLUSH...: a row of the table; false: above the bar.
measure() {
    name=$1 preload=$2
    shift 2
    start "$preload"
    fill
    peak=$(resident_kib)
    reply=$(cli "$@")
    [ "$reply" = OK ] || fail "$*: $reply"
    await_freed
    at_once=$(resident_kib)
    sleep 1
    after=$(resident_kib)
    live=$(($(info memory used_memory) / 1024))
    stop
    room=$((peak / 10))
    [ $room -ge $room_kib ] || room=$room_kib
    verdict=ok
    [ "$after" -le $((live + room)) ] || verdict=MISSED
    printf '%-9s %-15s %9s %9s %9s %11s %9s %s\n' "$name" "$*" "$(mib "$peak")" "$(mib "$live")" \
        "$(mib "$at_once")" "$(mib "$after")" "$(mib $((live + room)))" "$verdict"
    [ $verdict = ok ]
}

printf '%-9s %-15s %9s %9s %9s %11s %9s\n' MiB "" peak live "at once" "in a second" bar
result=0
measure ours "$library" flushall || result=1
measure ours "$library" flushall async || result=1
[ "$(grep -c '^poolmalloc statistics' "$folder/statistics")" = 2 ] ||
    fail "the library wrote no statistics: not preloaded?"
if [ $all_allocators = yes ]; then
    c_library=$(ldd "$(command -v redis-server)" | awk '$1 ~ /^libc\.so/ { print $3; exit }')
    jemalloc=$(ls /usr/lib/*/libjemalloc.so.2 2>/dev/null | head -n 1)
    for allocator in "glibc $c_library" "jemalloc $jemalloc"; do
        name=${allocator%% *} preload=${allocator#* }
        [ -n "$preload" ] || continue
        measure "$name" "$preload" flushall
        measure "$name" "$preload" flushall async
    done
fi
exit $result
