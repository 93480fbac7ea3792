SELECT lo_from_bytea(900001, convert_to(repeat('large object ', 5000), 'UTF8'));
SELECT lo_from_bytea(900002, '\x000102fffe0a5c2e0a');
SELECT lo_create(900003); -- empty
SELECT lo_from_bytea(900004, decode(repeat('00', 40000), 'hex'));
SELECT lo_put(900005, 100000, 'after a hole') FROM (SELECT lo_create(900005)) made;
ALTER LARGE OBJECT 900002 OWNER TO sample_owner;
GRANT SELECT ON LARGE OBJECT 900001 TO sample_reader;
GRANT SELECT, UPDATE ON LARGE OBJECT 900002 TO "Sample ""Writer""";
COMMENT ON LARGE OBJECT 900001 IS 'a comment with ''quotes'', a \ and a
second line';
CREATE TABLE types.documents (id int PRIMARY KEY, content ext.lo);
INSERT INTO types.documents VALUES (1, 900001), (2, 900002);
CREATE TRIGGER unlink BEFORE UPDATE OR DELETE ON types.documents FOR EACH ROW EXECUTE FUNCTION ext.lo_manage(content);
