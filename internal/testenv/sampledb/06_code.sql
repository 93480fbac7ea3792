-- Views, functions, triggers, rules, policies.
CREATE SCHEMA code;
CREATE FUNCTION code.touch() RETURNS trigger LANGUAGE plpgsql AS $fn$
BEGIN
  NEW.note := coalesce(NEW.note, '') || '$$ touched'; -- a dollar quote inside a dollar quote
  RETURN NEW;
END $fn$;
CREATE TRIGGER touch BEFORE UPDATE ON shop.orders FOR EACH ROW WHEN (OLD.total IS DISTINCT FROM NEW.total) EXECUTE FUNCTION code.touch();
CREATE FUNCTION code."Add ""q"""(a int, b int DEFAULT 1) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT a + b';
CREATE PROCEDURE code.do_nothing(INOUT x int) LANGUAGE plpgsql AS 'BEGIN x := x; END';
CREATE FUNCTION code.std_body(x int) RETURNS int LANGUAGE sql BEGIN ATOMIC; SELECT x * 2; END;
CREATE AGGREGATE code.product(numeric) (SFUNC = numeric_mul, STYPE = numeric, INITCOND = '1');
CREATE OPERATOR code.=== (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq);
CREATE COLLATION code.plain (provider = libc, locale = 'C');
CREATE TEXT SEARCH CONFIGURATION code.search (COPY = pg_catalog.simple);
CREATE VIEW code.big_orders WITH (security_barrier) AS SELECT o.id, c.name, o.total FROM shop.orders o JOIN shop.customers c ON c.id = o.customer_id WHERE o.total > 100;
CREATE RECURSIVE VIEW code.ancestors (id, root) AS SELECT id, id FROM shop.tree WHERE parent IS NULL UNION ALL SELECT t.id, a.root FROM shop.tree t JOIN ancestors a ON a.id = t.parent;
CREATE MATERIALIZED VIEW code.totals AS SELECT customer_id, sum(total) AS total FROM shop.orders GROUP BY 1;
CREATE UNIQUE INDEX ON code.totals (customer_id);
CREATE MATERIALIZED VIEW code.top_totals AS SELECT * FROM code.totals ORDER BY total DESC LIMIT 10;
CREATE MATERIALIZED VIEW code.not_populated AS SELECT 1 AS one WITH NO DATA;
CREATE RULE no_delete AS ON DELETE TO shop.vehicles DO INSTEAD NOTHING;

CREATE TABLE code.tenants_notes (id int PRIMARY KEY, tenant text NOT NULL DEFAULT current_user, body text);
INSERT INTO code.tenants_notes SELECT g, CASE WHEN g % 2 = 0 THEN 'sample_tenant_a' ELSE 'other' END, 'note ' || g FROM generate_series(1, 50) g;
ALTER TABLE code.tenants_notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON code.tenants_notes FOR ALL TO sample_tenant_a USING (tenant = current_user) WITH CHECK (tenant = current_user);
CREATE POLICY readable ON code.tenants_notes AS RESTRICTIVE FOR SELECT USING (id > 0);

CREATE FUNCTION code.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN NULL; END';
CREATE EVENT TRIGGER sample_on_ddl ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION code.on_ddl();
CREATE PUBLICATION sample_publication FOR TABLE shop.orders (id, total) WHERE (total > 10), shop.customers;
CREATE PUBLICATION "Everything in shop" FOR TABLES IN SCHEMA shop;

CREATE SERVER here FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '1', dbname 'none');
CREATE USER MAPPING FOR sample_reader SERVER here OPTIONS (user 'u', password 'not a real one');
CREATE FOREIGN TABLE code.elsewhere (id int, v text) SERVER here OPTIONS (table_name 'x');
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE code.passwd (line text) SERVER files OPTIONS (filename '/nonexistent', format 'text');
CREATE TABLE code.measured (at int, v int) PARTITION BY RANGE (at);
CREATE TABLE code.measured_near PARTITION OF code.measured FOR VALUES FROM (0) TO (100);
CREATE FOREIGN TABLE code.measured_far PARTITION OF code.measured FOR VALUES FROM (100) TO (200) SERVER here;
INSERT INTO code.measured SELECT g, g FROM generate_series(0, 99) g;
