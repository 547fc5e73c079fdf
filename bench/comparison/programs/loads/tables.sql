-- SPDX-License-Identifier: MIT
--
-- tables.sql, with the parameter :rows: a database in memory, filled, indexed, joined and changed.
--
-- Stands for SQLite inside an application: pages of the cache, records, sorters and prepared
-- statements come from malloc. Source: what speedtest1 of SQLite ("Measuring and Reducing CPU Usage
-- in SQLite", sqlite.org) is described to do; written anew.

CREATE TABLE item(id INTEGER PRIMARY KEY, owner INTEGER, name TEXT, price REAL, body BLOB);
CREATE TABLE owner(id INTEGER PRIMARY KEY, name TEXT UNIQUE);

BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows / 20 + 1)
INSERT INTO owner SELECT i, 'owner ' || (i * 7919 % 1000003) || '/' || i FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows)
INSERT INTO item
SELECT i, i * 31 % (:rows / 20 + 1), 'item ' || (i * 104729 % 1000003), i * 0.37,
       substr('abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz', 1 + i % 26, i * 7 % 26)
FROM n;
COMMIT;

CREATE INDEX item_name ON item(name);
CREATE INDEX item_owner ON item(owner, price);

SELECT count(*), sum(length(name)), round(sum(price), 2) FROM item WHERE name LIKE 'item 1%';
SELECT owner.name, count(*), round(sum(price), 2), max(item.name), group_concat(length(body))
FROM item JOIN owner ON item.owner = owner.id
GROUP BY owner.name ORDER BY 3 DESC, 1 LIMIT 20;
SELECT length(group_concat(name || '=' || price, ';')) FROM (SELECT * FROM item ORDER BY body, name);

BEGIN;
UPDATE item SET name = name || ' (changed)', price = price * 1.1 WHERE owner % 3 = 0;
DELETE FROM item WHERE owner % 5 = 1;
COMMIT;

SELECT count(DISTINCT substr(name, 6, 3)), round(avg(price), 3) FROM item;
SELECT name, price FROM item ORDER BY price * 7 % 101, name LIMIT 10;
