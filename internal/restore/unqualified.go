package restore

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
)

// notFound is how a server tells that it does not find something, inFunction where.
var (
	notFound   = regexp.MustCompile(`ERROR:  (?:relation|function|operator|type|text search \w+) .*does not exist`)
	inFunction = regexp.MustCompile(`(?:SQL|PL/pgSQL) function "?([^"(\n]+)`)
)

// explained adds what to do to an error of a function that an index, a constraint, a
// generated column or a materialized view uses and that names things without their
// schema: it works in the application and in no restore.
// Source: https://www.postgresql.org/docs/release/10.3/ (CVE-2018-1058)
func explained(err error) error {
	function := ""
	if pgErr := new(pgconn.PgError); errors.As(err, &pgErr) {
		switch pgErr.Code {
		case "42P01", "42883", "42704": // undefined table, function, object
			function = found(inFunction, pgErr.Where)
		}
	} else if failed := new(postgres.ToolError); errors.As(err, &failed) && notFound.MatchString(failed.Stderr) {
		function = found(inFunction, failed.Stderr)
	}
	if function == "" {
		return err
	}
	return fmt.Errorf("%w; function %s names something without its schema, and every restore runs with an empty search_path, also pg_restore's: the data is good. "+
		"`cat` piped into pg_restore -d, which goes on after errors, brings back all but what uses the function; in the original, ALTER FUNCTION %s … SET search_path = …, and take a new backup", err, function, function)
}

func found(pattern *regexp.Regexp, text string) string {
	if m := pattern.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}
