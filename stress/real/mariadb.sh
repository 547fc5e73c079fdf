# SPDX-License-Identifier: MIT
# MariaDB: twelve thousand statements, and queries of many kinds, over a socket.
# Most of what a statement needs comes from its own arenas.

needs mariadbd mariadb-install-db mariadb awk
least_mallocs=50000

run()
{
    data=$folder/data.${preload:+with}
    mariadb-install-db --no-defaults --datadir="$data" --user="$(id -un)" --skip-test-db \
        --auth-root-authentication-method=normal >"$folder/install.log" 2>&1 || {
        cat "$folder/install.log"
        return 1
    }
    start mariadbd --no-defaults --datadir="$data" --user="$(id -un)" --skip-networking \
        --socket="$socket" --skip-log-bin --innodb-flush-log-at-trx-commit=0 \
        --innodb-buffer-pool-size=32M --pid-file="$folder/pid" --tmpdir="$folder"
    client="mariadb --no-defaults -u root -S $socket -N -B"
    # shellcheck disable=SC2086
    until_ready $client -e 'SELECT 1' || return 1
    awk 'BEGIN {
        print "CREATE DATABASE d; USE d;"
        print "CREATE TABLE t (i INT PRIMARY KEY, name VARCHAR(40), value DOUBLE, KEY (name));"
        for (i = 0; i < 4000; i++)
            printf "INSERT INTO t VALUES (%d, \"name %d\", %d.5);\n", i, i * 7919 % 600, i
        for (i = 0; i < 4000; i++) {
            printf "SELECT name, value FROM t WHERE i = %d;\n", i
            if (i % 4 == 0) printf "UPDATE t SET value = value + 1 WHERE i = %d;\n", i
            if (i % 40 == 0)
                printf "SELECT COUNT(*), GROUP_CONCAT(i) FROM t WHERE name LIKE \"%%e %d%%\";\n",
                    i / 40
        }
        print "SELECT SUM(a.value + b.value) FROM t a JOIN t b USING (name);"
        print "SELECT name, COUNT(*), MAX(value) FROM t GROUP BY name ORDER BY 2 DESC, 1 LIMIT 20;"
        print "SELECT JSON_EXTRACT(JSON_OBJECT(\"a\", i, \"b\", name), \"$.b\") FROM t LIMIT 5;"
        print "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 900)"
        print "SELECT SUM(LENGTH(REPEAT(MD5(i), i))) FROM n;"
        print "CHECKSUM TABLE t; DROP DATABASE d; SHUTDOWN;"
    }' | $client || return 1
    ended
}
