package physical

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// stopGrace is how long a program may take to end after it was told to.
const stopGrace = 30 * time.Second

// Run makes the data directory, and with Start recovers it. Killed at any moment it
// leaves a directory that no server starts, and that the same call begins again with
// what is in it: pg_control comes last.
func Run(ctx context.Context, o Options) (Result, error) {
	r, err := prepare(ctx, o)
	if err != nil {
		return Result{Directory: o.Directory}, err
	}
	r.result.Warnings = append(r.result.Warnings, r.warnings()...)
	if r.top().Seal == nil {
		r.Log.Warn("the repository is not encrypted: nothing proves that nobody edited this backup", "point", r.top().Ref().String())
	}
	unlock, err := r.alone()
	if err != nil {
		return r.result, fmt.Errorf("restore %s: %w", r.top().Ref(), err)
	}
	defer unlock()
	if err := r.build(ctx); err != nil {
		if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("%w: %w", cause, err)
		}
		return r.result, fmt.Errorf("restore %s into %s, which no server starts from now; repeating it goes on: %w", r.top().Ref(), r.Directory, err)
	}
	if r.Start {
		if err := r.timed("recover", func() error { return r.recover(ctx) }); err != nil {
			return r.result, err
		}
	}
	return r.result, nil
}

func (r *restore) step(what string) { r.Progress.Step.Store(&what) }

// timed notes how long a step took.
func (r *restore) timed(step string, do func() error) error {
	begun := r.Now()
	err := do()
	r.result.Durations[step] += r.Now().Sub(begun).Seconds()
	return err
}

// build makes the data directory.
func (r *restore) build(ctx context.Context) error {
	t, err := r.ready()
	if err != nil {
		return err
	}
	defer t.close()
	fill := r.fresh
	if !r.full() {
		fill = r.chained
	}
	control, err := fill(ctx, t)
	if err != nil {
		return err
	}
	if err := r.setUp(t); err != nil {
		return err
	}
	r.step("putting everything on the disk")
	if err := r.timed("sync", func() error { return t.durable(ctx, r.Jobs) }); err != nil {
		return err
	}
	if err := t.write(controlFile, control, fileMode(0o600)); err != nil {
		return err
	}
	if err := t.root.Remove(markerFile); err != nil {
		return err
	}
	return syncDirectory(t.root, ".")
}

// alone makes the directory and keeps other restores out of it. What was found out
// about it before may not be so any more: one may just have ended, and its server been
// started.
func (r *restore) alone() (unlock func(), err error) {
	if err := r.owner.make(r.Directory); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	unlock, free, err := lock(r.Directory)
	if err != nil {
		return nil, err
	}
	if !free {
		return nil, fmt.Errorf("directory %s %w: another restore writes into it; wait for it, or stop it first", r.Directory, ErrRunning)
	}
	now, err := survey(r.Directory, r.Delta, r.top().Server.SystemIdentifier, r.top().Server.Major)
	if err == nil && (now.filled != r.filled || (now.marker == nil) != (r.marker == nil)) {
		err = fmt.Errorf("directory %s %w: somebody else changed it just now; look what is in it, and begin again", r.Directory, ErrNotEmpty)
	}
	if err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// ready writes the marker, takes pg_control away, without which no server starts, makes
// the directories, and opens the tree.
func (r *restore) ready() (*tree, error) {
	t, err := openTree(r.Directory, r.owner)
	if err != nil {
		return nil, err
	}
	if err := r.begin(t); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (r *restore) begin(t *tree) error {
	top := r.top()
	m := marker{Format: markerFormat, Point: top.Ref().String(), System: top.Server.SystemIdentifier, Begun: r.Now().UTC(), Tablespaces: map[string]string{}}
	for _, s := range r.spaces {
		m.Tablespaces[s.oid] = s.dir
	}
	data, err := json.Marshal(m)
	if err == nil {
		err = t.write(markerFile, append(data, '\n'), 0o600)
	}
	if err != nil {
		return err
	}
	if r.filled {
		if err := t.without(controlFile); err != nil {
			return err
		}
		if err := t.root.RemoveAll(stagingDir); err != nil {
			return err
		}
		if r.wal != "" {
			if err := t.mount(walDirectory, r.wal); err != nil {
				return err
			}
		}
	}
	return r.spacesReady(t)
}

// spacesReady makes the directories of tablespaces and the links to them. The links of
// a chain are made by the program that combines it.
func (r *restore) spacesReady(t *tree) error {
	for _, s := range r.spaces {
		err := r.owner.make(s.dir)
		if err == nil && r.full() {
			err = t.link(s, s.dir)
		}
		if err != nil {
			return fmt.Errorf("tablespace %s: %w", s.oid, err)
		}
	}
	return nil
}

// existing is the tree of a directory that is looked at and not changed.
func (r *restore) existing() (*tree, error) {
	t, err := openTree(r.Directory, nil)
	if err != nil {
		return nil, err
	}
	if r.wal != "" {
		err = t.mount(walDirectory, r.wal)
	}
	for _, s := range r.spaces {
		if s.ours && err == nil {
			if err = t.mount(s.prefix(), s.dir); errors.Is(err, os.ErrNotExist) {
				err = nil
			}
		}
	}
	return t, err
}

// compare finds what of the directory stays.
func (r *restore) compare(ctx context.Context, t *tree, fix bool) (*comparison, error) {
	r.step("comparing what is there")
	c := newComparison()
	c.fixes = fix
	for _, s := range r.spaces {
		c.know(s.prefix())
	}
	r.Progress.Expected.Store(r.top().Totals.Bytes)
	err := c.compare(ctx, r.top().Point, r.top().index.Size(), t, r.Jobs, dropped, last, &r.Progress.Done)
	r.Progress.Done.Store(0)
	return c, err
}

// dropped are files of a backup that a restored server must not have: it recovers by
// the archive, whatever the server of the backup did.
func dropped(p string) bool { return p == standbyFile || p == recoveryFile }

// last is what is written when all else is on the disk.
func last(p string) bool { return p == controlFile }

// fresh fills the directory from one full backup, and returns pg_control.
func (r *restore) fresh(ctx context.Context, t *tree) ([]byte, error) {
	top := r.top()
	f := &filling{point: top.Point, index: top.index, tree: t, jobs: r.Jobs, drop: dropped, hold: last, done: &r.Progress.Done}
	if r.filled {
		err := r.timed("compare", func() error {
			c, err := r.compare(ctx, t, true)
			if err != nil {
				return err
			}
			f.keep, r.result.Reused = c.keeps, c.reused.Load()
			err = c.remove(ctx, t, false)
			r.result.Removed = c.extra
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	r.step("fetching files")
	r.Progress.Expected.Store(top.Totals.Bytes)
	if err := r.timed("fetch", func() error { return f.write(ctx) }); err != nil {
		return nil, err
	}
	r.result.Files, r.result.Bytes, r.result.Fetched = top.Totals.Files, top.Totals.Bytes, f.fetched
	control := f.held[controlFile]
	if control == nil {
		return nil, fmt.Errorf("%s: %w: it has no %s", top.Ref(), repo.ErrDamaged, controlFile)
	}
	return control.held, nil
}

// chained fills the directory from a chain of increments, and returns pg_control.
func (r *restore) chained(ctx context.Context, t *tree) ([]byte, error) {
	expected := int64(0)
	for _, l := range r.chain {
		expected += l.Totals.Bytes
	}
	r.Progress.Expected.Store(expected)
	if err := r.emptied(ctx, t); err != nil {
		return nil, err
	}
	if err := r.timed("fetch and combine", func() error { return r.combined(ctx, t) }); err != nil {
		return nil, err
	}
	for _, s := range r.spaces {
		if err := t.mount(s.prefix(), s.dir); err != nil {
			return nil, err
		}
	}
	var err error
	if r.result.Files, r.result.Bytes, err = t.size(); err != nil {
		return nil, err
	}
	control, err := t.root.ReadFile(controlFile)
	if err != nil {
		return nil, err
	}
	return control, t.root.Remove(controlFile)
}

// emptied takes everything away that the program which combines would find in its
// way. Of what is there nothing can be kept: no list says what will come out.
func (r *restore) emptied(ctx context.Context, t *tree) error {
	c := newComparison()
	if err := c.remove(ctx, t, false); err != nil { // a pg_wal that is a link stays one
		return err
	}
	r.result.Removed = c.extra
	// Of a tablespace only what is of this version of the server.
	ours := fmt.Sprintf("PG_%d_", r.top().Server.Major)
	for _, s := range r.spaces {
		root, err := os.OpenRoot(s.dir)
		if err != nil {
			return err
		}
		names, err := fs.ReadDir(root.FS(), ".")
		for _, n := range names {
			if strings.HasPrefix(n.Name(), ours) && err == nil {
				err = root.RemoveAll(n.Name())
			}
		}
		if err := errors.Join(err, root.Close()); err != nil {
			return fmt.Errorf("tablespace %s: %w", s.oid, err)
		}
	}
	return nil
}

// setUp writes the settings of recovery.
func (r *restore) setUp(t *tree) error {
	old, err := t.root.ReadFile(autoConf)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	given := settings(r.Options, r.window.Timeline)
	main, err := t.root.ReadFile(mainConf)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	data := configure(old, append(stale(main, given), given...), "pgbackup-runner of "+r.top().Ref().String())
	if err := t.write(autoConf, data, 0o600); err != nil {
		return err
	}
	if _, err := t.root.Stat(mainConf); errors.Is(err, os.ErrNotExist) {
		r.result.Warnings = append(r.result.Warnings, fmt.Sprintf("the backup has no %s, as the server kept it elsewhere: bring it back (restore --kind config), or start the server with the file's name (-c config_file=…)", mainConf))
	}
	r.elsewhere(main)
	if _, err := t.root.Stat(labelFile); err != nil {
		return fmt.Errorf("%s: %w: it has no %s", r.top().Ref(), repo.ErrDamaged, labelFile)
	}
	return t.write(recoveryFile, nil, 0o600)
}

// size counts the files of the tree and their bytes.
func (t *tree) size() (files, bytes int64, err error) {
	roots := []*os.Root{t.root}
	for _, m := range t.mounts {
		roots = append(roots, m.root)
	}
	for _, root := range roots {
		err := fs.WalkDir(root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || p == markerFile {
				return err
			}
			info, err := d.Info()
			if err == nil {
				files, bytes = files+1, bytes+info.Size()
			}
			return err
		})
		if err != nil {
			return files, bytes, err
		}
	}
	return files, bytes, nil
}
