# SPDX-License-Identifier: MIT
# Queries of all kinds in memory.

needs sqlite3

run()
{
    cat >"$folder/work.sql" <<'END'
PRAGMA cache_size = 200;
CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, value REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
INSERT INTO t SELECT i, 'name ' || (i * 7919 % 60000), i / 7.0 FROM n;
CREATE INDEX by_name ON t (name, value);
SELECT count(*), sum(value), min(name), max(name) FROM t;
SELECT substr(name, 1, 7) AS part, count(*), group_concat(id % 10) FROM t
    GROUP BY part ORDER BY 2 DESC, 1 LIMIT 10;
WITH RECURSIVE n(i, s) AS
    (SELECT 1, 'x' UNION ALL SELECT i + 1, printf('%s-%d', substr(s, -40), i) FROM n
        WHERE i < 250000)
SELECT sum(length(s)), count(DISTINCT substr(s, 1, 9)) FROM n;
SELECT sum(length(json_extract(json_object('id', id, 'name', name), '$.name'))) FROM t;
SELECT count(*) FROM t AS a JOIN t AS b ON b.name = 'name ' || a.id WHERE a.id < 30000;
UPDATE t SET name = upper(name) || hex(value) WHERE id % 3 = 0;
SELECT sum(length(name)), count(DISTINCT name) FROM t;
DELETE FROM t WHERE id % 2 = 0;
PRAGMA integrity_check;
SELECT count(*), total(value) FROM t;
END
    under sqlite3 -batch :memory: <"$folder/work.sql"
}
