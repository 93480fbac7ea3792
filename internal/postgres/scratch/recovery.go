package scratch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Recovery says how far the WAL of an archive is replayed, and where it comes from.
//
// The server itself has neither keys nor a network. Its restore_command is a script
// of three lines that asks through a folder: the runner, which has both, places the
// file there, and the next ones with it, a few at a time. So no more WAL is on disk
// than is about to be read, however much there is.
type Recovery struct {
	// Target holds recovery_target… settings; none replays all there is. The action is
	// always promotion.
	Target map[string]string
	// Fetch makes a file at path, of what the archive has by a name. That there is none
	// is fs.ErrNotExist, which ends recovery or sends it on to another timeline; any other
	// error stops the server, and is what Start then fails with. Several run at once.
	Fetch func(ctx context.Context, name, path string) error
}

// ErrRecovery: the server would not recover. Its own words are in the text.
var ErrRecovery = errors.New("the recovery failed")

func (r *Recovery) check() error {
	for _, name := range slices.Sorted(maps.Keys(r.Target)) {
		if !strings.HasPrefix(name, "recovery_target") || name == "recovery_target_action" {
			return fmt.Errorf("recovery of the scratch server: %q says nothing of how far", name)
		}
	}
	return nil
}

// configured are the settings of recovery.
func (r *Recovery) configured(script string) map[string]string {
	all := map[string]string{
		"restore_command":          "/bin/sh " + strings.ReplaceAll(shellQuote(script), "%", "%%") + ` "%f" "%p"`,
		"recovery_target_action":   "promote",
		"recovery_target_timeline": "latest",
		// Nobody asks before it is there. So the settings of the server that was backed up
		// need not be matched, which may be those of a machine ten times as large.
		"hot_standby": "off",
	}
	maps.Copy(all, r.Target)
	return all
}

// waitFilled waits until the server serves, as it says itself: asking it by logins
// would fill its log.
func (c *Cluster) waitFilled(ctx context.Context) error {
	for !c.serves() {
		select {
		case <-c.exited:
			if err := c.feed.trouble(); err != nil {
				return err
			}
			if c.feed != nil {
				return fmt.Errorf("%w: %s", ErrRecovery, c.log())
			}
			return fmt.Errorf("the server ended while starting: %s", c.log())
		case <-ctx.Done():
			return fmt.Errorf("the server was not waited for: %w: %s", context.Cause(ctx), c.log())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// statusLine of postmaster.pid, counted from 0.
//
// Source: PostgreSQL, src/include/utils/pidfile.h, LOCK_FILE_LINE_PM_STATUS.
const statusLine = 7

func (c *Cluster) serves() bool {
	b, err := os.ReadFile(filepath.Join(c.data(), "postmaster.pid"))
	if err != nil {
		return false
	}
	lines := bytes.Split(b, []byte("\n"))
	return len(lines) > statusLine && string(bytes.TrimSpace(lines[statusLine])) == "ready"
}
