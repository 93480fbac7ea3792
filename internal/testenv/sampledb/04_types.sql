-- Every type whose text form has traps.
CREATE SCHEMA types;
CREATE TYPE types.mood AS ENUM ('sad', 'so so', 'it''s "ok"', '');
CREATE TYPE types.point3 AS (x double precision, y numeric, label text);
CREATE DOMAIN types.positive AS int CHECK (VALUE > 0);
CREATE TYPE types.float_range AS RANGE (subtype = float8, subtype_diff = float8mi);
CREATE TABLE types.everything (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  b boolean, s smallint, i int DEFAULT 7, n numeric, r real, d double precision, m money,
  t text, v varchar(20), c char(5), ci ext.citext, by bytea,
  da date, ti time, tz timetz, ts timestamp, tstz timestamptz, iv interval,
  u uuid, j json, jb jsonb, h ext.hstore, x xml, lt ext.ltree,
  ia int[], ta text[], nested int[][], mo types.mood, moa types.mood[], p types.point3, pa types.point3[],
  po types.positive, ir int4range, imr int4multirange, fr types.float_range, tr tstzrange,
  ip inet, ci2 cidr, ma macaddr, bi bit(8), bv varbit, pt point, pl polygon, tv tsvector, tq tsquery,
  o oid, rc regclass,
  twice numeric GENERATED ALWAYS AS (n * 2) STORED
);
INSERT INTO types.everything (t) SELECT NULL FROM generate_series(1, 3);
INSERT INTO types.everything (b, s, i, n, r, d, m, t, v, c, ci, by, da, ti, tz, ts, tstz, iv, u, j, jb, h, x, lt, ia, ta, nested, mo, moa, p, pa, po, ir, imr, fr, tr, ip, ci2, ma, bi, bv, pt, pl, tv, tq, o, rc)
VALUES (true, -32768, 2147483647, 12345678901234567890.123456789, 1.1e-30, 4.9e-324, '12.34', '', '', '', '', '',
  '0001-01-01 BC', '24:00', '23:59:59.999999+15', 'infinity', '-infinity', '-178000000 years', '00000000-0000-0000-0000-000000000000',
  '{"a": 1,   "a": 2}', '{"k": [1, null, "\u00e9\n"]}', 'a=>NULL, "b c"=>"d\"e"', '<a>&amp;</a>', 'top.sub', '{}', '{NULL,"NULL","",",","{}","\\","\""}',
  '{{1,2},{3,NULL}}', 'it''s "ok"', ARRAY['', 'sad']::types.mood[], ROW('NaN', NULL, E'a,"b"\t'), ARRAY[ROW(1, 2, NULL)]::types.point3[], 1, 'empty', '{[1,3),[5,9)}', '[1.5,2.5]',
  '(-infinity,infinity)', '::1/128', '10.0.0.0/8', '08:00:2b:01:02:03', B'10101010', B'1', '(1e300,-0)', '((0,0),(1,1),(1,0))', 'a:1A fat:2B,4C', 'fat & (rat | !cat)', 4294967295, 'types.everything'),
 (false, 32767, -2147483648, 'NaN', 'NaN', 'Infinity', '-92233720368547758.08', E'tab\there\nnewline\r\nreturn\\back\\.\bslash\v\f', E'\\.', E'\\N', E'\\N', '\x00',
  'infinity', '00:00', '00:00:00-15:59', '4713-01-01 00:00:00 BC', '294276-12-31 23:59:59.999999+00', '1 year -2 days 03:04:05.678901', 'ffffffff-ffff-ffff-ffff-ffffffffffff',
  'null', 'null', '', NULL, '', '[2:4]={1,2,3}', '{}', '{}', 'sad', '{}', NULL, '{}', 2147483647, '(,)', '{}', 'empty', NULL, '255.255.255.255', '::/0', 'ff:ff:ff:ff:ff:ff', B'00000000', '', '(0,0)', '((0,0))', '', '', 0, 0),
 (NULL, 0, 0, '-Infinity', '-Infinity', 1.7976931348623157e308, 0, E'\\.\n\\.', 'ünï', '数据', 'CaSe', NULL,
  'epoch', '12:00', '12:00+00', 'epoch', '2024-03-31 01:30:00 Europe/Berlin', '-1 mons +1 day -00:00:00.000001', NULL, '""', '"\\"', NULL, NULL, NULL, NULL, NULL, NULL, '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE types.floats (f4 real, f8 double precision, n numeric(40, 20));
INSERT INTO types.floats SELECT random()::real, random() * 10 ^ (random() * 600 - 300), random()::numeric FROM generate_series(1, 500);
INSERT INTO types.floats VALUES ('-0', '-0', 0), (1.17549435e-38, 2.2250738585072014e-308, 0.00000000000000000001);
CREATE TABLE types.bytes (id int PRIMARY KEY, b bytea);
INSERT INTO types.bytes SELECT g, set_byte('\x00', 0, g) FROM generate_series(0, 255) g;
INSERT INTO types.bytes SELECT 256, string_agg(set_byte('\x00', 0, g), '' ORDER BY g) FROM generate_series(0, 255) g;
INSERT INTO types.bytes VALUES (257, ''), (258, NULL);
CREATE TABLE types.characters (id int PRIMARY KEY, c text);
INSERT INTO types.characters SELECT g, chr(g) FROM generate_series(1, 2047) g;
INSERT INTO types.characters VALUES (5000, repeat('long 🐘 ', 100000)), (5001, ''), (5002, NULL), (5003, E'\\N'), (5004, E'\\.'), (5005, E'\n\n'), (5006, E'\\');
CREATE TABLE types.one_text (t text);
INSERT INTO types.one_text VALUES (''), (''), (NULL), (E'\\.'), (E'\n');
CREATE TABLE types.no_columns ();
INSERT INTO types.no_columns DEFAULT VALUES;
INSERT INTO types.no_columns DEFAULT VALUES;
CREATE TABLE types.dropped_columns (a int, gone text, b text DEFAULT 'b', gone2 int[], c int);
INSERT INTO types.dropped_columns SELECT g, 'x', 'y', '{1}', g FROM generate_series(1, 20) g;
ALTER TABLE types.dropped_columns DROP COLUMN gone, DROP COLUMN gone2;
ALTER TABLE types.dropped_columns ADD COLUMN late int DEFAULT 42;
INSERT INTO types.dropped_columns VALUES (0, NULL, 0, NULL);
CREATE TABLE types.empty (id int PRIMARY KEY, v text);
CREATE UNLOGGED TABLE types.unlogged (id int PRIMARY KEY);
INSERT INTO types.unlogged SELECT generate_series(1, 50);
CREATE TABLE types.only_generated (a int GENERATED ALWAYS AS (1) STORED);
INSERT INTO types.only_generated DEFAULT VALUES;
