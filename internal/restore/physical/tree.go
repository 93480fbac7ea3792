package physical

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
)

// tree is a data directory that is written: its own root, and those of what lies
// elsewhere, tablespaces and sometimes pg_wal. Nothing is reached but through them,
// so that no path and no link leads out.
type tree struct {
	root   *os.Root
	mounts []mount
	owner  *owner // nil: what is made belongs to who makes it
	made   map[string]bool
}

// mount is a directory outside that stands for a path in the data directory.
type mount struct {
	prefix string // such as pg_tblspc/16384
	root   *os.Root
}

// openTree opens the root of a data directory.
func openTree(dir string, o *owner) (*tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &tree{root: root, owner: o, made: map[string]bool{}}, nil
}

// mount has paths below prefix go to another directory.
func (t *tree) mount(prefix, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	t.mounts = append(t.mounts, mount{prefix, root})
	return nil
}

func (t *tree) close() {
	t.root.Close()
	for _, m := range t.mounts {
		m.root.Close()
	}
}

// at is where a path of the data directory is: "." for the mount itself.
func (t *tree) at(p string) (*os.Root, string) {
	for _, m := range t.mounts {
		if p == m.prefix {
			return m.root, "."
		}
		if rest, below := strings.CutPrefix(p, m.prefix+"/"); below {
			return m.root, rest
		}
	}
	return t.root, p
}

// Modes as a server has them: nobody else reads, the group where initdb said so.
func fileMode(tar int64) fs.FileMode { return fs.FileMode(tar)&0o040 | 0o600 }
func dirMode(tar int64) fs.FileMode  { return fs.FileMode(tar)&0o050 | 0o700 }

// directory makes a directory, with those above it that are missing, and gives it
// its mode and owner. What is there and no directory is taken away.
func (t *tree) directory(p string, mode fs.FileMode) error {
	if parent := path.Dir(p); parent != "." && !t.made[parent] {
		if err := t.directory(parent, mode); err != nil {
			return err
		}
	}
	root, rel := t.at(p)
	if rel == "." {
		t.made[p] = true
		return nil // of a tablespace: that it is right was seen when it was opened
	}
	info, err := root.Lstat(rel)
	if err == nil && !info.IsDir() {
		if err := root.Remove(rel); err != nil {
			return err
		}
		err = fs.ErrNotExist
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = root.Mkdir(rel, 0o700)
	}
	if err == nil {
		err = t.own(root, rel, info, mode)
	}
	t.made[p] = err == nil
	return err
}

// own gives what is there its mode and owner, where they are not what they should be.
func (t *tree) own(root *os.Root, rel string, info fs.FileInfo, mode fs.FileMode) error {
	if t.owner != nil && (info == nil || !t.owner.has(info)) {
		if err := root.Lchown(rel, t.owner.uid, t.owner.gid); err != nil {
			return err
		}
	}
	if info != nil && info.Mode().Perm() == mode {
		return nil
	}
	return root.Chmod(rel, mode)
}

// create makes a file anew. One that is there is taken away, not written into: it
// may have another name, in a copy made of hard links.
func (t *tree) create(p string, mode fs.FileMode) (*os.File, error) {
	root, rel := t.at(p)
	f, err := root.OpenFile(rel, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		if err := root.RemoveAll(rel); err != nil {
			return nil, err
		}
		f, err = root.OpenFile(rel, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	}
	if err != nil {
		return nil, err
	}
	// The mask of this process is not the server's.
	err = f.Chmod(mode)
	if err == nil && t.owner != nil {
		err = f.Chown(t.owner.uid, t.owner.gid)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// write makes a small file of the data directory's own root, on the disk when it
// returns, in one step: a crash leaves the old or the new one.
func (t *tree) write(p string, data []byte, mode fs.FileMode) error {
	const temporary = "pgbackup_restore.tmp"
	f, err := t.create(temporary, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = t.root.Rename(temporary, p)
	}
	if err == nil {
		err = syncDirectory(t.root, path.Dir(p))
	}
	return err
}

// without takes a file of the data directory's own root away, for good.
func (t *tree) without(p string) error {
	err := t.root.RemoveAll(p)
	if err == nil {
		err = syncDirectory(t.root, path.Dir(p))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// syncDirectory makes what was made, renamed and removed in a directory last.
func syncDirectory(root *os.Root, dir string) error {
	d, err := root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
