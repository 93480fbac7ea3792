package physical

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// A chain of increments is laid out whole in the data directory's own staging folder,
// each backup with its tablespaces as they were sent, and combined by the server's own
// program:
//
//	pgbackup_restore.d/0, 1 …       the backups, the full one first
//	pgbackup_restore.d/spaces/<oid> the tablespaces of the last, which has links to them
//	pgbackup_restore.d/data         what comes out, moved up when it is whole

// combined fills the tree with what the chain makes.
func (r *restore) combined(ctx context.Context, t *tree) error {
	if err := t.root.RemoveAll(stagingDir); err != nil {
		return err
	}
	if err := t.directory(stagingDir, 0o700); err != nil {
		return err
	}
	for i, l := range r.chain {
		r.step(fmt.Sprintf("fetching %s, %d of %d", l.ID, i+1, len(r.chain)))
		if err := r.lay(ctx, t, l, i); err != nil {
			return err
		}
	}
	r.step("combining the increments")
	if err := r.combine(ctx); err != nil {
		return err
	}
	return r.moveUp(t)
}

// lay writes one backup of the chain into the staging folder.
func (r *restore) lay(ctx context.Context, t *tree, l link, i int) error {
	last := i == len(r.chain)-1
	dir := path.Join(stagingDir, strconv.Itoa(i))
	if err := t.directory(dir, 0o700); err != nil {
		return err
	}
	stage, err := openTree(filepath.Join(r.Directory, dir), t.owner)
	if err != nil {
		return err
	}
	defer stage.close()
	if last {
		for _, s := range r.spaces {
			rel := path.Join(stagingDir, "spaces", s.oid)
			if err := t.directory(rel, 0o700); err != nil {
				return err
			}
			if err := stage.link(s, r.stagedSpace(s)); err != nil {
				return err
			}
		}
	}
	f := &filling{point: l.Point, index: l.index, tree: stage, jobs: r.Jobs, drop: dropped, done: &r.Progress.Done}
	err = f.write(ctx)
	r.result.Fetched += f.fetched
	return err
}

// stagedSpace is where the last backup of the chain has a tablespace.
func (r *restore) stagedSpace(s space) string {
	return filepath.Join(r.Directory, stagingDir, "spaces", s.oid)
}

// combine runs pg_combinebackup as the owner of the data directory.
func (r *restore) combine(ctx context.Context) error {
	args := []string{"--no-sync", "--output", filepath.Join(r.Directory, stagingDir, "data")}
	for _, s := range r.spaces {
		args = append(args, "--tablespace-mapping", mapping(r.stagedSpace(s), s.dir))
	}
	for i := range r.chain {
		args = append(args, filepath.Join(r.Directory, stagingDir, strconv.Itoa(i)))
	}
	cmd := r.command(ctx, "pg_combinebackup", args...)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return fmt.Errorf("pg_combinebackup was stopped: %w", context.Cause(ctx))
	}
	if err != nil {
		return fmt.Errorf("combine the increments: pg_combinebackup %s: %w: %s", r.found.Version, err, oneLine(string(out)))
	}
	return nil
}

// mapping is an argument OLD=NEW, in which = is escaped.
func mapping(from, to string) string {
	escape := strings.NewReplacer("=", `\=`)
	return escape.Replace(from) + "=" + escape.Replace(to)
}

// moveUp takes what came out to its place, and the staging folder away.
func (r *restore) moveUp(t *tree) error {
	out := path.Join(stagingDir, "data")
	d, err := t.root.Open(out)
	if err != nil {
		return err
	}
	names, err := d.ReadDir(-1)
	d.Close()
	if err != nil {
		return err
	}
	for _, n := range names {
		if t.mounted(n.Name()) {
			err = t.moveOut(path.Join(out, n.Name()), n.Name())
		} else {
			err = t.root.Rename(path.Join(out, n.Name()), n.Name())
		}
		if err != nil {
			return err
		}
	}
	return t.root.RemoveAll(stagingDir)
}

// moveOut copies a directory to where a path of the tree leads, on another disk: of a
// pg_wal, in which a base backup has next to nothing.
func (t *tree) moveOut(from, to string) error {
	return fs.WalkDir(t.root.FS(), from, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == from {
			return err
		}
		at := path.Join(to, strings.TrimPrefix(p, from))
		if d.IsDir() {
			return t.directory(at, 0o700)
		}
		data, err := t.root.Open(p)
		if err != nil {
			return err
		}
		defer data.Close()
		f, err := t.create(at, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, data)
		return errors.Join(err, f.Close())
	})
}

// command is one of PostgreSQL's programs, run as the owner of the data directory.
func (r *restore) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(r.found.Bin, name), args...)
	cmd.Dir = r.Directory
	cmd.Env = environment(os.Environ())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: r.owner.credential()}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopGrace
	return cmd
}

// environment leaves out what would lead PostgreSQL's programs elsewhere, and has them
// speak as they are read here. The rest is what restore_command finds the repository with.
func environment(of []string) []string {
	var env []string
	for _, e := range of {
		name, _, _ := strings.Cut(e, "=")
		if strings.HasPrefix(name, "PG") && !strings.HasPrefix(name, "PGBACKUP_") || strings.HasPrefix(name, "LC_") || name == "LANGUAGE" {
			continue
		}
		env = append(env, e)
	}
	return append(env, "LC_MESSAGES=C")
}

// link makes the link of a tablespace, to a directory that is there.
func (t *tree) link(s space, to string) error {
	if err := t.directory(spaces, 0o700); err != nil {
		return err
	}
	if old, err := t.root.Readlink(s.prefix()); err != nil || old != to {
		if err := t.root.RemoveAll(s.prefix()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := t.root.Symlink(to, s.prefix()); err != nil {
			return err
		}
		if t.owner != nil {
			if err := t.root.Lchown(s.prefix(), t.owner.uid, t.owner.gid); err != nil {
				return err
			}
		}
	}
	return t.mount(s.prefix(), to)
}

func oneLine(text string) string {
	const most = 4000
	text = strings.TrimSpace(text)
	if len(text) > most {
		text = "…" + strings.ToValidUTF8(text[len(text)-most:], "")
	}
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' }), "; ")
}
