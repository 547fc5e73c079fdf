# SPDX-License-Identifier: MIT
# What Redis makes of its allocator's own names, which Debian's takes from jemalloc: INFO memory,
# MEMORY PURGE, DOCTOR and MALLOC-STATS, active defragmentation, DEBUG MALLCTL. Figures differ from
# one allocator to the other; what must hold of them does not.

needs redis-server redis-cli awk
least_mallocs=500000

keys=200000
value_bytes=300

cli()
{
    redis-cli -s "$socket" "$@" | tr -d '\r'
}

# The server takes the allocator's figures ten times a second.
take_info()
{
    sleep 0.5
    cli info memory >"$folder/info"
}

# info NAME: from the last take_info.
info()
{
    awk -F: -v name="$1" '$1 == name { print $2 }' "$folder/info"
}

resident_kib()
{
    awk '$1 == "VmRSS:" { print $2 }' "/proc/$server/status"
}

# holds WHAT CONDITION: a line of the output; the condition is arithmetic.
holds()
{
    verdict=no
    [ $(($2)) -ne 0 ] && verdict=yes
    echo "$1: $verdict"
    [ $verdict = yes ] || echo "  ($2)"
}

figures()
{
    take_info
    used=$(info used_memory)
    allocated=$(info allocator_allocated)
    active=$(info allocator_active)
    resident=$(info allocator_resident)
    holds "$1: allocated covers what Redis uses" "$allocated >= $used"
    holds "$1: allocated <= active <= resident" \
        "$allocated <= $active && $active <= $resident"
}

# Of this library alone: the figures are its own, and what it does not do it says.
ours()
{
    [ -n "$preload" ] || return 0
    cli memory malloc-stats >"$folder/malloc-stats"
    grep -q 'Begin poolmalloc statistics' "$folder/malloc-stats" || return 1
    told=$(sed -n 's/^Allocated: \([0-9]*\),.*/\1/p' "$folder/malloc-stats")
    [ "$told" -ge $((allocated * 9 / 10)) ] && [ "$told" -le $((allocated * 11 / 10)) ] &&
        cli debug mallctl-str version | grep -q poolmalloc
}

run()
{
    start redis-server --port 0 --unixsocket "$socket" --save '' --appendonly no \
        --enable-debug-command local --dir "$folder" --daemonize no
    until_ready redis-cli -s "$socket" ping || return 1
    cli debug populate $keys key $value_bytes
    figures filled
    info mem_allocator | sed 's/-.*//'
    holds "used_memory is what was put in" \
        "$used >= $keys * $value_bytes && $used <= $keys * ($value_bytes + 200)"
    holds "resident is not far above" "$resident <= $used * 3 / 2"
    ours || {
        echo "the figures are not the library's:" >&2
        cat "$folder/info" "$folder/malloc-stats" >&2
        return 1
    }
    filled=$resident filled_kib=$(resident_kib)
    cli memory doctor | grep -c '[a-z]' | awk '{ print "MEMORY DOCTOR answers:", ($1 > 0) }'
    cli memory malloc-stats | grep -c 'Begin .* statistics'
    cli config set activedefrag yes
    cli config get activedefrag
    cli config set jemalloc-bg-thread no
    cli debug mallctl arenas.page
    cli debug mallctl no.such.name
    cli debug mallctl stats.allocated 1
    cli flushall
    cli memory purge
    figures emptied
    holds "MEMORY PURGE gave back what the keys took" \
        "$resident <= $filled / 3 && $(resident_kib) <= $filled_kib / 2"
    cli shutdown nosave
    ended
}
