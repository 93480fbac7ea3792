package postgres

import (
	"context"
	"fmt"
	"strconv"
)

// Archive is one that somebody else made, of any of pg_dump's formats.
type Archive struct {
	Format string // custom, tar or directory
	Path   string // "" for the Process's Stdin
}

// TextOptions of ArchiveText.
type TextOptions struct {
	SchemaOnly bool // without data: pg_restore then stops reading after the table of contents
	Create     bool // with the statement that makes the database, and its properties
}

// ArchiveText starts pg_restore, which writes an archive as SQL to the Process's
// Stdout. Read it to its end, then Wait. It connects to nothing.
func ArchiveText(ctx context.Context, tools Tools, a Archive, o TextOptions) (*Process, error) {
	args := []string{"--file=-", "--format=" + a.Format}
	if o.SchemaOnly {
		args = append(args, "--schema-only")
	}
	if o.Create {
		args = append(args, "--create")
	}
	if a.Path != "" {
		args = append(args, a.Path)
	}
	return start(ctx, command{path: tools.Restore, args: args, env: environWithoutLogin(), pipeStdin: a.Path == "", pipeOut: true})
}

// RestoreArchive restores all of an archive that lies in a file or a directory,
// with o.Jobs connections at once.
func RestoreArchive(ctx context.Context, tools Tools, t Target, a Archive, o RestoreOptions) error {
	args := []string{"--format=" + a.Format, "--exit-on-error", "--no-password", "--jobs=" + strconv.Itoa(max(1, o.Jobs)), "--dbname=" + t.childConninfo()}
	if o.NoOwner {
		args = append(args, "--no-owner")
	}
	if o.NoPrivileges {
		args = append(args, "--no-privileges")
	}
	if o.NoTablespaces {
		args = append(args, "--no-tablespaces")
	}
	args = append(args, a.Path)
	if err := run(ctx, command{path: tools.Restore, args: args, env: t.Env(o.ServerMajor)}); err != nil {
		return fmt.Errorf("restore archive %s into %s: %w", a.Path, t, err)
	}
	return nil
}
