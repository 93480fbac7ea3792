-- Roles belong to the server, not to the database: made only where absent.
DO $$
DECLARE r text;
BEGIN
  FOREACH r IN ARRAY ARRAY['sample_owner', 'sample_reader', 'Sample "Writer"', 'sample_tenant_a'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r) THEN
      EXECUTE format('CREATE ROLE %I', r);
    END IF;
  END LOOP;
END $$;
GRANT sample_reader TO "Sample ""Writer""";
