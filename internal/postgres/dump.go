package postgres

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// DumpOptions of Dump.
type DumpOptions struct {
	SnapshotID string // of a Snapshot that is held until the table of contents has arrived
	Selection  Selection
	LockWait   time.Duration // for each of pg_dump's own locks; 0 = 5 s, see StartDump
	// ServerMajor and Encoding are the Snapshot's. With 0 and "" pg_dump takes
	// what the connection has.
	ServerMajor int
	Encoding    string
}

// Dump starts pg_dump, which writes an uncompressed custom-format archive to the
// Process's Stdout. Read it to its end, then Wait; to give up, cancel ctx or
// close Stdout, then Wait. StartDump is this with the snapshot, and with starting
// over where sessions block one another.
func Dump(ctx context.Context, tools Tools, t Target, o DumpOptions) (*Process, error) {
	if o.LockWait <= 0 {
		o.LockWait = 5 * time.Second
	}
	args := []string{
		"--format=custom", "--compress=0", "--no-password",
		fmt.Sprintf("--lock-wait-timeout=%d", max(1, o.LockWait.Milliseconds())),
	}
	if o.SnapshotID != "" {
		args = append(args, "--snapshot="+o.SnapshotID)
	}
	if o.Encoding != "" {
		// A client_encoding set for the role would recode, or fail on, the data.
		args = append(args, "--encoding="+o.Encoding)
	}
	args = append(args, o.Selection.dumpArgs()...)
	args = append(args, "--dbname="+t.childConninfo())
	return start(ctx, command{path: tools.Dump, args: args, env: t.Env(o.ServerMajor), pipeOut: true})
}

// RestoreCheck starts pg_restore on an archive written to the Process's Stdin,
// turning it to SQL that nobody reads: the reference reader. Close Stdin at the
// archive's end, then Wait. When it fails early, writes to Stdin fail with EPIPE
// and Wait has the reason.
func RestoreCheck(ctx context.Context, tools Tools) (*Process, error) {
	return start(ctx, command{
		path: tools.Restore, args: []string{"--file=/dev/null", "--format=custom"},
		env: environWithoutLogin(), pipeStdin: true,
	})
}

// environWithoutLogin is for programs that connect to nothing.
func environWithoutLogin() []string {
	return append(slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "PG") || notTheirs(e) }), "LC_ALL=C")
}

// notTheirs tells which variables PostgreSQL's programs do not get to see: the
// store's credentials and the encryption key are none of their business.
func notTheirs(variable string) bool {
	return strings.HasPrefix(variable, "AWS_") || strings.HasPrefix(variable, "BACKUP_")
}
