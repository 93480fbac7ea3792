package restore

import (
	"bufio"
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
)

// pg_dumpall writes one statement a line. Role names are quoted where needed.
const roleName = `("(?:[^"]|"")+"|[a-z_][a-z0-9_$]*)`

var (
	createRole = regexp.MustCompile(`^CREATE ROLE ` + roleName + `;$`)
	alterRole  = regexp.MustCompile(`^ALTER ROLE ` + roleName + ` `)
	grantRole  = regexp.MustCompile(`^GRANT ` + roleName + ` TO ` + roleName + `\b`)
)

// createRoles makes the roles of the backup that the server lacks, with their
// attributes, settings and memberships. Roles that exist are not touched.
func (r *run) createRoles(ctx context.Context) error {
	have, err := r.serverRoles(ctx)
	if err != nil {
		return err
	}
	statements, err := r.roleStatements(ctx, have)
	if err != nil {
		return err
	}
	if len(statements) == 0 {
		return nil
	}
	conn, err := r.Target.WithDatabase(maintenance).Connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	tx, err := conn.Begin(ctx)
	if err != nil {
		return fmt.Errorf("create roles: %w", err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	for _, s := range statements {
		if _, err := tx.Exec(ctx, s.sql); err != nil {
			return fmt.Errorf("create the roles of the backup: role %s: %w", s.role, err)
		}
	}
	return tx.Commit(ctx)
}

// statement is one line of the globals; sql may hold a password hash and is
// never put in a message.
type statement struct{ role, sql string }

func (r *run) roleStatements(ctx context.Context, have map[string]bool) ([]statement, error) {
	body, err := r.point.Open(ctx, logical.StreamGlobals)
	if err != nil {
		return nil, fmt.Errorf("--globals: %w", err)
	}
	defer body.Close()
	var out []statement
	created := map[string]bool{}
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if m := createRole.FindStringSubmatch(line); m != nil {
			if name := unquote(m[1]); !have[name] {
				created[name] = true
				out = append(out, statement{name, line})
			}
		} else if m := alterRole.FindStringSubmatch(line); m != nil {
			if name := unquote(m[1]); created[name] && strings.HasSuffix(line, ";") {
				out = append(out, statement{name, line})
			}
		} else if m := grantRole.FindStringSubmatch(line); m != nil {
			role, member := unquote(m[1]), unquote(m[2])
			if (created[role] || created[member]) && strings.HasSuffix(line, ";") {
				// GRANTED BY names a role of the old server.
				sql, _, _ := strings.Cut(strings.TrimSuffix(line, ";"), " GRANTED BY ")
				out = append(out, statement{member, sql})
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read globals of %s: %w", r.Ref, err)
	}
	return out, nil
}

func unquote(name string) string {
	if strings.HasPrefix(name, `"`) {
		return strings.ReplaceAll(name[1:len(name)-1], `""`, `"`)
	}
	return name
}
