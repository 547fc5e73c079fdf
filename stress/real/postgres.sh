# SPDX-License-Identifier: MIT
# PostgreSQL: pgbench's accounts by four clients, then queries of many kinds.
# It takes memory for its contexts in blocks of 8 KiB and more.

needs pg_ctlcluster psql pgbench runuser
least_mallocs=100000

bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -n 1)
# It refuses to run as root.
as_user()
{
    if [ "$(id -u)" -eq 0 ]; then
        runuser -u postgres -- "$@"
    else
        "$@"
    fi
}

run()
{
    chmod 755 "$folder"
    data=$folder/data.${preload:+with}
    mkdir "$data" "$data/socket"
    touch "$folder/statistics"
    chmod 666 "$folder/statistics"
    [ "$(id -u)" -ne 0 ] || chown -R postgres "$data"
    as_user "$bin/initdb" -D "$data/db" -A trust -N -U tester >"$folder/initdb.log" 2>&1 || {
        cat "$folder/initdb.log"
        return 1
    }
    cp "$library" "$folder/library.so" && chmod 755 "$folder/library.so"
    start as_user env ${preload:+LD_PRELOAD="$folder/library.so"} \
        "$bin/postgres" -D "$data/db" -k "$data/socket" -c listen_addresses= -c fsync=off \
        -c autovacuum=off -c max_parallel_workers=2
    until_ready psql -h "$data/socket" -U tester -d postgres -c 'SELECT 1' || return 1
    database="-h $data/socket -U tester"
    # shellcheck disable=SC2086
    pgbench $database -i -q -s 1 postgres >"$folder/pgbench.log" 2>&1 &&
        pgbench $database -n -c 4 -j 2 -t 400 --random-seed=7 -M extended postgres \
            >>"$folder/pgbench.log" 2>&1 || {
        cat "$folder/pgbench.log"
        return 1
    }
    # shellcheck disable=SC2086
    psql $database -q -A -t -v ON_ERROR_STOP=1 postgres <<'END' || return 1
SELECT count(*), sum(delta) FROM pgbench_history;
SELECT sum(abalance) = sum(b) FROM (SELECT abalance, 0 b FROM pgbench_accounts
    UNION ALL SELECT 0, delta FROM pgbench_history) AS both_sides;
CREATE TABLE t AS SELECT i, 'name ' || (i * 7919 % 6000) AS name, i / 7.0 AS value,
    jsonb_build_object('id', i, 'tags', array[i, i * 2]) AS document
    FROM generate_series(1, 40000) AS i;
CREATE UNIQUE INDEX ON t (i);
CREATE INDEX ON t (name, value);
ANALYZE t;
SELECT count(*), round(sum(value), 3), min(name), max(name) FROM t;
SELECT name, count(*), string_agg((i % 10)::text, '' ORDER BY i) FROM t
    GROUP BY name ORDER BY 2 DESC, 1 LIMIT 5;
SELECT sum((document->>'id')::int), count(DISTINCT document->'tags'->0) FROM t;
SELECT sum(rank) FROM (SELECT rank() OVER (PARTITION BY i % 97 ORDER BY name) FROM t) AS ranks;
SELECT count(*) FROM t AS a JOIN t AS b USING (name);
SELECT count(*) FROM t WHERE regexp_replace(name, '[0-9]+7', 'x') = 'name x';
WITH RECURSIVE n(i, s) AS (SELECT 1, 'x' UNION ALL
    SELECT i + 1, right(s || md5(i::text), 60) FROM n WHERE i < 20000) SELECT sum(length(s)) FROM n;
DO $$ BEGIN FOR k IN 1..3000 LOOP
    EXECUTE format('UPDATE t SET value = value + %s WHERE i = %s', k, k); END LOOP; END $$;
SELECT round(sum(value), 3) FROM t;
END
    kill -INT "$(head -n 1 "$data/db/postmaster.pid")"
    ended
}
