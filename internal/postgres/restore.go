package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
)

// RestoreOptions of the pg_restore runs. The zero value restores everything of a
// section as it was, one statement at a time.
type RestoreOptions struct {
	Jobs          int     // connections at once; above 1 the archive goes to a temporary file
	Only          []int32 // dump ids; nil = all of the section
	NoOwner       bool
	NoPrivileges  bool
	NoTablespaces bool   // everything goes to the database's own
	ServerMajor   int    // of the server restored into; 0 = any
	TempDir       string // for lists and archives; "" = the system's
	// UnknownSettings are those that the server restored into does not know although
	// this pg_restore sets them (see ScriptSettings): that they fail is no failure.
	UnknownSettings []string
}

// RestorePreData makes what tables need before their data. archive is header
// and table of contents, or all of an archive.
func RestorePreData(ctx context.Context, tools Tools, t Target, archive io.Reader, o RestoreOptions) error {
	return restoreSection(ctx, tools, t, "pre-data", archive, o)
}

// RestorePostData makes indexes, constraints, triggers, policies and fills
// materialized views. archive is as for RestorePreData.
func RestorePostData(ctx context.Context, tools Tools, t Target, archive io.Reader, o RestoreOptions) error {
	return restoreSection(ctx, tools, t, "post-data", archive, o)
}

// RestoreDataRest restores what of the data section is no table: where
// sequences stand, and large objects. archive is header and table of contents
// followed by the bytes of the entries of large objects.
func RestoreDataRest(ctx context.Context, tools Tools, t Target, archive io.Reader, toc *pgarchive.TOC, o RestoreOptions) error {
	only := map[int32]bool{}
	for _, id := range o.Only {
		only[id] = true
	}
	var ids []int32
	section := pgarchive.SectionNone
	for i := range toc.Entries {
		e := &toc.Entries[i]
		// Comments and rights have no section and belong to the one before them.
		if e.Section != pgarchive.SectionNone {
			section = e.Section
		}
		if section == pgarchive.SectionData && e.Desc != "TABLE DATA" && (o.Only == nil || only[e.DumpID]) {
			ids = append(ids, e.DumpID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	o.Only, o.Jobs = ids, 1
	return restoreSection(ctx, tools, t, "data", archive, o)
}

func restoreSection(ctx context.Context, tools Tools, t Target, section string, archive io.Reader, o RestoreOptions) (err error) {
	args, remove, err := sectionArgs(section, o)
	if err != nil {
		return fmt.Errorf("restore %s of %s: %w", section, t, err)
	}
	defer remove()
	args = append(args, "--dbname="+t.childConninfo())
	if len(o.UnknownSettings) == 0 {
		args = append(args, "--exit-on-error")
	}
	c := command{path: tools.Restore, env: t.Env(o.ServerMajor)}
	if o.Jobs > 1 {
		name, remove, err := tempFile(o.TempDir, archive)
		if err != nil {
			return fmt.Errorf("restore %s of %s: %w", section, t, err)
		}
		defer remove()
		args = append(args, "--jobs="+strconv.Itoa(o.Jobs), name)
	} else {
		c.pipeStdin = true
	}
	c.args = args
	p, err := start(ctx, c)
	if err != nil {
		return fmt.Errorf("restore %s of %s: %w", section, t, err)
	}
	var feedErr error
	if c.pipeStdin {
		// pg_restore need not read to the end: EPIPE is its good right.
		if _, feedErr = io.Copy(p.Stdin, archive); errors.Is(feedErr, syscall.EPIPE) {
			feedErr = nil
		}
		if feedErr != nil {
			p.Kill() // it would take a cut archive for a whole one
		}
		_ = p.Stdin.Close()
	}
	err = p.Wait()
	if feedErr != nil {
		err = fmt.Errorf("read the archive: %w", feedErr)
	}
	if onlyUnknownSettings(err, o.UnknownSettings) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("restore %s of %s: %w", section, t, err)
	}
	return nil
}

// sectionArgs are the options that choose what pg_restore restores and how. The
// files they name are there until remove is called.
func sectionArgs(section string, o RestoreOptions) (args []string, remove func(), err error) {
	args = []string{"--section=" + section, "--format=custom", "--no-password"}
	if o.NoOwner {
		args = append(args, "--no-owner")
	}
	if o.NoPrivileges {
		args = append(args, "--no-privileges")
	}
	if o.NoTablespaces {
		args = append(args, "--no-tablespaces")
	}
	if o.Only == nil {
		return args, func() {}, nil
	}
	var list strings.Builder
	for _, id := range o.Only {
		list.WriteString(strconv.Itoa(int(id)) + ";\n")
	}
	name, remove, err := tempFile(o.TempDir, strings.NewReader(list.String()))
	if err != nil {
		return nil, nil, err
	}
	return append(args, "--use-list="+name), remove, nil
}

// tempFile keeps what src has in a file that only we can read.
func tempFile(dir string, src io.Reader) (name string, remove func(), err error) {
	f, err := os.CreateTemp(dir, "pgbackup-restore-*")
	if err != nil {
		return "", nil, err
	}
	remove = func() { _ = os.Remove(f.Name()) }
	_, err = io.Copy(f, src)
	if err := errors.Join(err, f.Close()); err != nil {
		remove()
		return "", nil, err
	}
	return f.Name(), remove, nil
}
