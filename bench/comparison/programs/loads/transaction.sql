-- SPDX-License-Identifier: MIT
--
-- For pgbench, beside its TPC-B: a report. Planning, sorting, hashing, aggregates and JSON take
-- memory contexts of all sizes, which come from malloc as they grow and are freed at the end.
-- The tables are pgbench's own.
\set first random(1, 190000)
BEGIN;
SELECT bid, count(*), sum(abalance), avg(aid), string_agg(aid::text, ',' ORDER BY abalance, aid DESC)
FROM pgbench_accounts WHERE aid BETWEEN :first AND :first + 1500 GROUP BY bid;
SELECT json_agg(row_to_json(a)) FROM
    (SELECT a.aid, a.abalance, t.tid, b.bbalance FROM pgbench_accounts a
     JOIN pgbench_tellers t ON t.bid = a.bid JOIN pgbench_branches b ON b.bid = a.bid
     WHERE a.aid BETWEEN :first AND :first + 60 ORDER BY a.filler, t.tid) a;
SELECT count(*), array_length(array_agg(DISTINCT aid % 37), 1) FROM pgbench_accounts
WHERE aid BETWEEN :first AND :first + 800;
END;
