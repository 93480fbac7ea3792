package scratch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Filled makes the server one of a data directory that is there, a base backup or
// that of a server that was stopped, instead of an empty one. Of the configuration
// that comes with it nothing is used: not its files, which would archive, connect
// and preload, nor its pg_hba.conf.
type Filled struct {
	// Fill writes the files of the data directory into data, which is empty, and those
	// of each tablespace into a folder of its own below tablespaces, to which
	// pg_tblspc/<oid> leads. Owners of files need not be right.
	Fill func(ctx context.Context, data, tablespaces string) error
	// Superuser is the role that the server's first initdb made; "" is postgres. It must
	// be allowed to log in.
	Superuser string
	// SegmentSize of its WAL in bytes; 0 is the usual one.
	SegmentSize uint64
	// Had are settings that the server had. Those that its data can not do without are
	// taken where they are higher than this server's own.
	Had map[string]string
	// Recovery brings the data to a moment and ends with a promotion. nil is for the
	// directory of a server that was stopped.
	Recovery *Recovery
}

// confined lists the files of a data directory that decide whom a server serves and
// reaches, which are replaced or removed.
var confined = []string{
	"postgresql.conf", "postgresql.auto.conf", "pg_hba.conf", "pg_ident.conf",
	"recovery.signal", "standby.signal", "recovery.done", "postmaster.pid", "postmaster.opts",
}

// fill has the data directory written and makes it this server's own.
func (c *Cluster) fill(ctx context.Context, o Options) error {
	if err := os.Mkdir(c.tablespaces(), 0o700); err != nil {
		return err
	}
	if err := c.user.own(c.tablespaces()); err != nil {
		return err
	}
	if err := o.Filled.Fill(ctx, c.data(), c.tablespaces()); err != nil {
		return fmt.Errorf("fill the data directory: %w", err)
	}
	if err := c.checkVersion(); err != nil {
		return err
	}
	for _, name := range confined {
		if err := os.RemoveAll(filepath.Join(c.data(), name)); err != nil {
			return fmt.Errorf("take the data directory over: %w", err)
		}
	}
	return errors.Join(c.claim(c.data()), c.claim(c.tablespaces()))
}

// checkVersion holds that the programs are those of the data: no other major version
// can read it.
func (c *Cluster) checkVersion() error {
	b, err := os.ReadFile(filepath.Join(c.data(), "PG_VERSION"))
	if err != nil {
		return fmt.Errorf("what was filled in is no data directory: %w", err)
	}
	if major, err := strconv.Atoi(string(bytes.TrimSpace(b))); err != nil || major != c.programs.Major {
		return fmt.Errorf("the data directory is of PostgreSQL %.20q, and the programs in %s are of %d: only those of the same major version can run it", bytes.TrimSpace(b), c.programs.Bin, c.programs.Major)
	}
	return nil
}

// claim gives a tree to the server's user. A link to elsewhere is refused: the server
// that was backed up may be on this very machine, and its files are not ours.
func (c *Cluster) claim(root string) error {
	return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("take the data directory over: %w", err)
		}
		if e.Type()&fs.ModeSymlink != 0 {
			if err := c.staysInside(path); err != nil {
				return err
			}
		}
		if c.user.credential == nil {
			return nil
		}
		if owner, ok := ownerOf(path); ok && owner == c.user.uid {
			return nil
		}
		if err := os.Lchown(path, int(c.user.uid), int(c.user.gid)); err != nil {
			return fmt.Errorf("give %s to user %s: %w", path, c.user.name, err)
		}
		return nil
	})
}

func (c *Cluster) staysInside(link string) error {
	to, err := filepath.EvalSymlinks(link)
	if err != nil {
		return fmt.Errorf("take the data directory over: %w", err)
	}
	inside, err := filepath.EvalSymlinks(c.tablespaces())
	if err != nil {
		return fmt.Errorf("take the data directory over: %w", err)
	}
	if filepath.Dir(link) != filepath.Join(c.data(), "pg_tblspc") || filepath.Dir(to) != inside {
		return fmt.Errorf("%s leads to %s, outside of what is the scratch server's own: nothing was started", link, to)
	}
	return nil
}

// admit writes who may log in, from the socket of a directory that only the server's
// user may enter. The password of the superuser is not known, so it comes in without
// one until it was given ours (secure).
func (c *Cluster) admit(method string) error {
	name := `"` + strings.ReplaceAll(c.superuser, `"`, `""`) + `"`
	text := "local all " + name + " " + method + "\nlocal all all scram-sha-256\n"
	if err := c.replace("pg_hba.conf", text); err != nil {
		return fmt.Errorf("write who may log in: %w", err)
	}
	return nil
}

// replace writes a file of the data directory anew, never through a link.
func (c *Cluster) replace(name, text string) error {
	root, err := os.OpenRoot(c.data())
	if err != nil {
		return err
	}
	defer root.Close()
	fresh := name + ".pgbackup"
	f, err := root.OpenFile(fresh, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if c.user.credential != nil {
		err = errors.Join(err, f.Chown(int(c.user.uid), int(c.user.gid)))
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return root.Rename(fresh, name)
}

func (c *Cluster) tablespaces() string { return filepath.Join(c.dir, "tablespaces") }
