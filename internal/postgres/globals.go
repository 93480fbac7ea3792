package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// maxGlobals bounds the memory for roles and tablespaces: 100,000 roles are 30 MB.
const maxGlobals = 64 << 20

// Globals are roles, their memberships and settings, and tablespaces, as SQL.
type Globals struct {
	SQL []byte
	// WithoutPasswords: the role may not read pg_authid, so roles restored from
	// this have no passwords.
	WithoutPasswords bool
}

// DumpGlobals runs pg_dumpall --globals-only. Where the role may not read
// passwords they are left out, and Globals says so.
func DumpGlobals(ctx context.Context, tools Tools, t Target) (Globals, error) {
	conn, err := t.Connect(ctx)
	if err != nil {
		return Globals{}, err
	}
	major := serverMajor(conn)
	var mayRead bool
	err = conn.QueryRow(ctx, "SELECT pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT')").Scan(&mayRead)
	CloseSoon(conn)
	if err != nil {
		return Globals{}, fmt.Errorf("globals of %s: %w", t, err)
	}
	args := []string{"--globals-only", "--no-password", "--database=" + t.databaseArgument()}
	if !mayRead {
		args = append(args, "--no-role-passwords")
	}
	if takesRestrictKey(ctx, tools) {
		args = append(args, "--restrict-key=pgbackup") // else random: two dumps of the same would differ
	}
	out := &boundedBuffer{limit: maxGlobals}
	err = run(ctx, command{path: tools.DumpAll, args: args, env: t.Env(major), stdout: out})
	if out.full {
		return Globals{}, fmt.Errorf("globals of %s: more than %d bytes of SQL", t, maxGlobals)
	}
	if err != nil {
		return Globals{}, fmt.Errorf("globals of %s: %w", t, err)
	}
	return Globals{SQL: out.Bytes(), WithoutPasswords: !mayRead}, nil
}

// takesRestrictKey tells whether pg_dumpall knows the option, which minor
// releases of August 2025 brought.
func takesRestrictKey(ctx context.Context, tools Tools) bool {
	out, err := exec.CommandContext(ctx, tools.DumpAll, "--help").Output()
	return err == nil && strings.Contains(string(out), "--restrict-key")
}

// boundedBuffer refuses to grow beyond its limit.
type boundedBuffer struct {
	bytes.Buffer
	limit int
	full  bool
}

func (b *boundedBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.limit {
		b.full = true
		return 0, errors.New("output is larger than its limit")
	}
	return b.Buffer.Write(p)
}
