// Package scratch runs a PostgreSQL server of our own for as long as it is
// needed: to prove a backup by restoring it, or to take one of what an old file
// holds. What is restored there can not be trusted to leave the rest of the
// world alone, so the server listens on a socket in a private directory only,
// is cut off from the network where the kernel allows it, and does not outlive
// its parent.
//
// What lives here: making, isolating, ending and clearing away such servers.
// What must not: what is done in them (the engines), and leaving objects out
// because they would reach others (package restore).
package scratch

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
)

const (
	superuser = "postgres"
	// port only names the socket: nothing listens on TCP.
	port = 5432
)

// Options of a server. The zero value is one of the newest version installed.
type Options struct {
	// Directory is where the server's own directory is made; "" is the system's
	// for temporary files. It needs room for the database with its indexes.
	Directory string
	// Major is the least major version; just that one is preferred, then the
	// next newer. 0 = the newest there is.
	Major int
	// Bin is the only directory to look for the server's programs in; "" looks
	// where postgres.ProgramDirs says.
	Bin string
	// Settings are added to postgresql.conf, values as they are meant, not quoted.
	// Those that would end the isolation are refused.
	Settings map[string]string
	// Encoding and Locale of the databases that are there at first; "" = UTF8, and
	// C.UTF-8 or C.
	Encoding, Locale string
	// Filled gives the server data that is there; nil makes it an empty one. Major is
	// then that of the data, and Encoding and Locale have no meaning.
	Filled *Filled

	Log *slog.Logger
}

// Cluster is a running server. Its methods may be used by several goroutines.
type Cluster struct {
	programs  Programs
	dir       string // everything but perhaps the socket
	socketDir string
	superuser string
	password  string
	version   string
	filled    bool
	feed      *feed // of WAL; nil without a recovery
	user      account
	isolation isolation
	lock      *os.File

	cmd     *exec.Cmd
	exited  chan struct{}
	stop    sync.Once
	stopErr error
}

// Start makes a server, empty or Filled, and starts it, after clearing away what
// runners that died left in the same place. With a Recovery it returns when that is
// over. ctx bounds the start only: the server runs until Stop, or until this process
// ends. Failing for want of programs is ErrNoServer; a recovery that the server would
// not do is ErrRecovery.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := checkSettings(o.Settings); err != nil {
		return nil, err
	}
	if _, err := Sweep(ctx, o.Directory, o.Log); err != nil {
		o.Log.Warn("what an earlier scratch server left could not be cleared away", "error", err)
	}
	programs, err := o.findPrograms(ctx)
	if err != nil {
		return nil, err
	}
	c := &Cluster{programs: programs, version: programs.Version, superuser: superuser, password: rand.Text()}
	if c.user, err = chooseAccount(); err != nil {
		return nil, err
	}
	if err := c.makeDirectories(o.Directory); err != nil {
		return nil, fmt.Errorf("start a scratch server: %w", err)
	}
	if err := c.begin(ctx, o); err != nil {
		err = fmt.Errorf("start a scratch server of PostgreSQL %s in %s: %w", programs.Version, c.dir, err)
		return nil, errors.Join(err, c.Stop())
	}
	o.Log.Debug("a scratch server was started", "version", c.version, "directory", c.dir, "isolation", c.Isolation())
	return c, nil
}

func (o Options) findPrograms(ctx context.Context) (Programs, error) {
	if o.Filled == nil {
		return FindPrograms(ctx, o.Major, o.Bin)
	}
	if r := o.Filled.Recovery; r != nil {
		if err := r.check(); err != nil {
			return Programs{}, err
		}
	}
	return FindExactly(ctx, o.Major, o.Bin)
}

func (c *Cluster) begin(ctx context.Context, o Options) error {
	if o.Filled != nil {
		return c.beginFilled(ctx, o)
	}
	if err := c.initdb(ctx, o); err != nil {
		return err
	}
	if err := c.configure(o.Settings); err != nil {
		return err
	}
	c.isolation = c.chooseIsolation(ctx, isolations(c.user))
	if err := c.launch(); err != nil {
		return err
	}
	return c.waitReady(ctx)
}

func (c *Cluster) beginFilled(ctx context.Context, o Options) error {
	c.filled = true
	if o.Filled.Superuser != "" {
		c.superuser = o.Filled.Superuser
	}
	if err := c.fill(ctx, o); err != nil {
		return err
	}
	if err := c.configureFilled(o); err != nil {
		return err
	}
	if err := c.admit("trust"); err != nil {
		return err
	}
	c.isolation = c.chooseIsolation(ctx, isolations(c.user))
	if err := c.launch(); err != nil {
		return err
	}
	if err := c.waitFilled(ctx); err != nil {
		return err
	}
	if err := c.feed.close(); err != nil {
		return err
	}
	return c.secure(ctx, o.Settings)
}

// Target is a database of the server, as its superuser. Child programs that get
// it are not led elsewhere by PG… variables.
func (c *Cluster) Target(database string) postgres.Target {
	t, err := postgres.PrivateTarget(c.socketDir, port, c.superuser, c.password, database)
	if err != nil {
		// Only a broken environment fails, and then waitReady did before.
		return postgres.Target{Host: c.socketDir, Port: port, User: c.superuser, Database: database}
	}
	if c.filled {
		t = t.WithSetting("default_transaction_read_only", "off") // such as is set for roles came with the data
	}
	return t
}

// Version is the server's, such as 15.6.
func (c *Cluster) Version() string { return c.version }

// Major is the server's major version.
func (c *Cluster) Major() int { return c.programs.Major }

// Bin is the directory of the server's programs.
func (c *Cluster) Bin() string { return c.programs.Bin }

// Programs are those the server was started with.
func (c *Cluster) Programs() Programs { return c.programs }

// Directory is where the server has all it writes.
func (c *Cluster) Directory() string { return c.dir }

// Isolated tells whether the kernel keeps the server off the network. Without it
// nothing but what is restored decides whether connections are opened.
func (c *Cluster) Isolated() bool { return c.isolation.network }

// Isolation says, a sentence each, what keeps the server from reaching others
// and what does not.
func (c *Cluster) Isolation() []string {
	said := []string{"it listens on a socket in a directory of its own and not on the network", c.isolation.said}
	if c.user.said != "" {
		said = append(said, c.user.said)
	}
	if c.filled {
		said = append(said, "it archives nothing, follows no other server, and uses nothing of the configuration that came with its data")
	}
	return append(said, "no subscription and no preloaded library runs in it")
}

// Stop ends the server at once and removes all it wrote. Repeating it does
// nothing more.
func (c *Cluster) Stop() error {
	c.stop.Do(func() {
		err := errors.Join(c.end(), c.feed.close())
		c.stopErr = errors.Join(err, c.removeDirectories())
	})
	return c.stopErr
}

// end signals an immediate shutdown: nothing is kept, so nothing need be flushed.
func (c *Cluster) end() error {
	if c.cmd == nil {
		return nil
	}
	return endProcess(c.cmd.Process.Pid, syscall.SIGQUIT, c.exited)
}

func (c *Cluster) removeDirectories() error {
	var errs []error
	for _, dir := range []string{c.socketDir, c.dir} {
		if dir == "" {
			continue
		}
		if err := os.RemoveAll(dir); err != nil {
			errs = append(errs, fmt.Errorf("remove the scratch server's directory: %w", err))
		}
	}
	if c.lock != nil {
		errs = append(errs, c.lock.Close())
	}
	return errors.Join(errs...)
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }
