# SPDX-License-Identifier: MIT
# Replies to a fixed script, then the state that redis-benchmark leaves: it uses
# one key per command here, so the state does not depend on the order.

needs redis-server redis-cli redis-benchmark awk

run()
{
    start redis-server --port 0 --unixsocket "$socket" --save '' --appendonly no \
        --enable-debug-command local --dir "$folder" --daemonize no
    until_ready redis-cli -s "$socket" ping || return 1
    awk 'BEGIN {
        for (i = 0; i < 4000; i++) {
            printf "SET key:%d %0*d\n", i, i % 300 + 1, i
            printf "HSET hash:%d field%d value%d other %d\n", i % 50, i, i, i * i
            printf "RPUSH list:%d a%d b%d c%d\n", i % 20, i, i, i
            printf "ZADD sorted %d member%d\n", i * 31 % 997, i
            printf "APPEND key:%d more\n", i * 17 % 4000
            if (i % 5 == 0) printf "DEL key:%d\n", i / 2
            if (i % 9 == 0) printf "LRANGE list:%d 0 5\n", i % 20
        }
        print "ZRANGE sorted 0 20\nHLEN hash:7\nDBSIZE\nDEBUG DIGEST"
    }' | redis-cli -s "$socket" || return 1
    redis-benchmark -s "$socket" -q -c 20 -P 16 -n 100000 -d 200 \
        -t set,get,incr,lpush,rpush,sadd,hset,zadd,mset >"$folder/benchmark.log" 2>&1 || return 1
    printf 'DBSIZE\nLLEN mylist\nDEBUG DIGEST\nFLUSHALL\nDBSIZE\nSHUTDOWN NOSAVE\n' |
        redis-cli -s "$socket"
    ended
}
