package drill

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
)

// plainRole is a role that may read everything and do nothing else. A transaction
// that only reads does not keep a superuser's statement from COPY … TO PROGRAM, nor
// a function from reaching out; and whoever switched to another role with SET ROLE
// can switch back. So the statements log in as somebody who never was a superuser.
type plainRole struct{ name, password string }

// makePlainRole makes one on a server that is the drill's own.
func makePlainRole(ctx context.Context, t postgres.Target) (*plainRole, error) {
	p := &plainRole{name: "pgbackup_drill_" + suffix(), password: rand.Text()}
	conn, err := t.Connect(ctx)
	if err != nil {
		return nil, err
	}
	defer postgres.CloseSoon(conn)
	major, err := postgres.ServerMajor(conn)
	if err != nil {
		return nil, err
	}
	role := pgx.Identifier{p.name}.Sanitize()
	// Row security would hide rows from whoever is not told of in its policies, and
	// a check would count too few.
	statements := []string{"CREATE ROLE " + role + " LOGIN BYPASSRLS PASSWORD " + literal(p.password)}
	if major >= 14 {
		statements = append(statements, "GRANT pg_read_all_data TO "+role)
	} else {
		statements = append(statements, readAllBefore14(role))
	}
	statements = append(statements, "GRANT CONNECT ON DATABASE "+pgx.Identifier{t.Database}.Sanitize()+" TO "+role)
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			return nil, fmt.Errorf("make the role that checks are run as: %w", err)
		}
	}
	return p, nil
}

// readAllBefore14 grants one by one what pg_read_all_data has since.
func readAllBefore14(role string) string {
	return `DO $do$ DECLARE s name; BEGIN
  FOR s IN SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_(toast|temp)' LOOP
    EXECUTE pg_catalog.format('GRANT USAGE ON SCHEMA %I TO ` + strings.ReplaceAll(role, "'", "''") + `', s);
    EXECUTE pg_catalog.format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO ` + strings.ReplaceAll(role, "'", "''") + `', s);
    EXECUTE pg_catalog.format('GRANT SELECT ON ALL SEQUENCES IN SCHEMA %I TO ` + strings.ReplaceAll(role, "'", "''") + `', s);
  END LOOP; END $do$`
}

// connect logs in as the role, to a server on a socket of this machine.
func (p *plainRole) connect(ctx context.Context, t postgres.Target) (*pgx.Conn, error) {
	as, err := postgres.PrivateTarget(t.Host, t.Port, p.name, p.password, t.Database)
	if err != nil {
		return nil, err
	}
	return as.Connect(ctx)
}

// suffix makes names of drills their own: twelve letters and digits.
func suffix() string { return strings.ToLower(rand.Text())[:12] }

func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
