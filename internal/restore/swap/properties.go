package swap

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
)

// copyProperties gives a database what belongs to another one and is not in it:
// owner, connection limit, settings, rights and comment.
func (s *server) copyProperties(ctx context.Context, from database, name string) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer postgres.CloseSoon(conn)
	statements, err := propertyStatements(ctx, conn, from, name)
	for _, sql := range statements {
		if err == nil {
			_, err = conn.Exec(ctx, sql)
		}
	}
	if err != nil {
		return fmt.Errorf("give %s the properties of %s: %w", name, s.Target.Database, err)
	}
	return nil
}

func propertyStatements(ctx context.Context, conn *pgx.Conn, from database, name string) ([]string, error) {
	to := quote(name)
	all := []string{"ALTER DATABASE " + to + " OWNER TO " + quote(from.owner)}
	var limit int
	var comment *string
	var rights bool
	err := conn.QueryRow(ctx, "SELECT datconnlimit, pg_catalog.quote_literal(pg_catalog.shobj_description(oid, 'pg_database')), datacl IS NOT NULL FROM pg_catalog.pg_database WHERE oid = $1", from.oid).
		Scan(&limit, &comment, &rights)
	if err != nil {
		return nil, err
	}
	if limit >= 0 {
		all = append(all, fmt.Sprintf("ALTER DATABASE %s CONNECTION LIMIT %d", to, limit))
	}
	if comment != nil {
		all = append(all, "COMMENT ON DATABASE "+to+" IS "+*comment)
	}
	if rights {
		all = append(all, "REVOKE ALL ON DATABASE "+to+" FROM PUBLIC, "+quote(from.owner))
	}
	// The privileges are words of SQL, and both roles may be PUBLIC or are quoted.
	rows, err := conn.Query(ctx, `SELECT 'GRANT ' || a.privilege_type || ' ON DATABASE ' || $2 || ' TO '
			|| CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END
			|| CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
		FROM pg_catalog.pg_database d, pg_catalog.aclexplode(d.datacl) a WHERE d.oid = $1`, from.oid, to)
	if err != nil {
		return nil, err
	}
	grants, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	settings, err := settingStatements(ctx, conn, from, to)
	return append(append(all, grants...), settings...), err
}

func settingStatements(ctx context.Context, conn *pgx.Conn, from database, to string) ([]string, error) {
	rows, err := conn.Query(ctx, `SELECT coalesce(r.rolname::text, ''), pg_catalog.split_part(c, '=', 1), pg_catalog.substr(c, pg_catalog.strpos(c, '=') + 1)
		FROM pg_catalog.pg_db_role_setting s LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole, pg_catalog.unnest(s.setconfig) c WHERE s.setdatabase = $1`, from.oid)
	if err != nil {
		return nil, err
	}
	type setting struct{ Role, Name, Value string }
	settings, err := pgx.CollectRows(rows, pgx.RowToStructByPos[setting])
	if err != nil {
		return nil, err
	}
	var all []string
	for _, set := range settings {
		whose := "ALTER DATABASE " + to
		if set.Role != "" {
			whose = "ALTER ROLE " + quote(set.Role) + " IN DATABASE " + to
		}
		all = append(all, whose+" SET "+pgx.Identifier(strings.Split(set.Name, ".")).Sanitize()+" TO "+settingValue(set.Name, set.Value))
	}
	return all, nil
}

// lists are the settings that PostgreSQL stores as lists of quoted names
// (GUC_LIST_QUOTE): each has to be given by itself.
var lists = []string{"local_preload_libraries", "search_path", "session_preload_libraries", "shared_preload_libraries", "temp_tablespaces", "unix_socket_directories"}

func settingValue(name, value string) string {
	if !slices.Contains(lists, strings.ToLower(name)) {
		return literal(value)
	}
	var names []string
	for _, n := range splitNames(value) {
		names = append(names, literal(n))
	}
	if len(names) == 0 {
		return "''"
	}
	return strings.Join(names, ", ")
}

// splitNames takes a list such as `"$user", public` apart.
func splitNames(list string) []string {
	var names []string
	var b strings.Builder
	quoted, any := false, false
	end := func() {
		if any {
			names = append(names, b.String())
		}
		b.Reset()
		any = false
	}
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case c == '"' && quoted && i+1 < len(list) && list[i+1] == '"':
			b.WriteByte(c)
			i++
		case c == '"':
			quoted, any = !quoted, true
		case !quoted && c == ',':
			end()
		case !quoted && (c == ' ' || c == '\t' || c == '\n'):
		default:
			b.WriteByte(c)
			any = true
		}
	}
	end()
	return names
}

// literal quotes a text whatever standard_conforming_strings is.
func literal(s string) string {
	s = strings.ReplaceAll(s, "'", "''")
	if strings.Contains(s, `\`) {
		return "E'" + strings.ReplaceAll(s, `\`, `\\`) + "'"
	}
	return "'" + s + "'"
}
