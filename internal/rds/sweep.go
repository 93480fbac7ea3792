package rds

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	api "github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// deleteLimit is how long RDS may refuse to delete a temporary database because it
// is busy with it, such as with making it.
const deleteLimit = time.Hour

// Delete deletes the database. It asks until RDS has taken it on, also while RDS is
// still making it or AWS is asked too often, and does not wait until it is gone. It
// goes on when ctx is cancelled: a drill that is interrupted must leave nothing that
// costs money. What is gone already is fine, so it may be called twice.
func (t *Temporary) Delete(ctx context.Context) error {
	limit := deleteLimit
	if ends, ok := ctx.Deadline(); ok && ctx.Err() == nil {
		limit = min(limit, time.Until(ends))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	t.appear(ctx)
	err := deleteTemporary(ctx, t.client, api.Target{ID: t.Identifier}, t.pause)
	if t.Cluster != "" {
		err = errors.Join(err, deleteTemporary(ctx, t.client, api.Target{ID: t.Cluster, Cluster: true}, t.pause))
	}
	if err == nil {
		t.begun = time.Time{}
		t.log.Info("temporary database deleted", "identifier", t.Identifier, "cluster", t.Cluster)
	}
	return err
}

// appear waits until RDS knows what it was just asked to make: until then it says
// that it is not there, which is no reason to leave it.
func (t *Temporary) appear(ctx context.Context) {
	target := api.Target{ID: cmp.Or(t.Cluster, t.Identifier), Cluster: t.Cluster != ""}
	for time.Since(t.begun) < appears && ctx.Err() == nil {
		if _, err := t.client.Database(ctx, target); !errors.Is(err, awsapi.ErrGone) {
			return
		}
		time.Sleep(min(t.pause, time.Second))
	}
}

// deleteTemporary asks until RDS has taken it on. A cluster that still has
// instances is busy too.
func deleteTemporary(ctx context.Context, c *api.Client, target api.Target, pause time.Duration) error {
	return awsapi.Until(ctx, awsapi.Waiting{What: target.String() + " to be deletable", Limit: deleteLimit, First: pause, Most: 30 * time.Second},
		func(ctx context.Context) (bool, string, error) {
			err := c.DeleteTemporary(ctx, target)
			if api.Busy(err) || errors.Is(err, awsapi.ErrThrottled) {
				return false, "not deletable yet: " + err.Error(), nil
			}
			return true, "", err
		})
}

// SweepTemporary begins to delete temporary databases that no drill needs any more,
// and returns their identifiers: those that carry the tags of StartTemporary, and
// are expired at now or were made by a process of this machine that is gone. It
// touches nothing else. One that RDS is busy with, or that these credentials may not
// delete because it is another repository's, is told in the log and left to the next
// run; other errors come back, with what was swept all the same.
func SweepTemporary(ctx context.Context, c *api.Client, now time.Time, log *slog.Logger) (swept []string, err error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	var failed []error
	for _, clusters := range []bool{false, true} {
		all, err := c.Databases(ctx, clusters)
		if err != nil {
			return swept, errors.Join(append(failed, err)...)
		}
		for _, db := range all {
			why := over(db, now, repo.Self())
			if why == "" || db.Status == "deleting" {
				continue
			}
			err := c.DeleteTemporary(ctx, db.Target)
			switch {
			case err == nil:
				log.Info("deleted a temporary database that a drill left", "identifier", db.ID, "cluster", db.Cluster, "why", why)
				swept = append(swept, db.ID)
			case api.Busy(err), errors.Is(err, awsapi.ErrThrottled), errors.Is(err, awsapi.ErrDenied):
				log.Warn("a temporary database that a drill left is still there; the next run tries again", "identifier", db.ID, "why", why, "error", err)
			default:
				failed = append(failed, err)
			}
		}
	}
	return swept, errors.Join(failed...)
}

// over says why a temporary database is needed no more; "" for all that may be
// needed, and for whatever is not a temporary database.
func over(db api.Database, now time.Time, self repo.Holder) string {
	temporary := db.Tags[api.TagTemporary]
	if !awsapi.Ours(db.Tags) || temporary == "" || temporary != db.ID && temporary != db.MemberOf || !strings.HasPrefix(db.ID, TemporaryPrefix) {
		return ""
	}
	expires, err := time.Parse(time.RFC3339, db.Tags[TagExpires])
	switch {
	case err != nil:
		return "" // nobody knows: somebody changed the tag, and may want to keep it
	case now.After(expires):
		return "expired at " + db.Tags[TagExpires]
	case runOver(db.Tags[TagRun], self):
		return "the run that made it is gone"
	}
	return ""
}

// runOf names a process so that another process of the same machine can tell whether
// it still runs: where process ids are the same, the id, and when it started.
func runOf(h repo.Holder) string {
	if h.Boot == "" || h.Started == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(h.Boot + "\n" + h.PIDs))
	return fmt.Sprintf("%s:%d:%s", hex.EncodeToString(sum[:8]), h.PID, h.Started)
}

// runOver reports whether a run is over for sure. Of another machine or container
// nobody here knows: only time tells.
func runOver(run string, self repo.Holder) bool {
	parts, own := strings.Split(run, ":"), strings.Split(runOf(self), ":")
	if len(parts) != 3 || len(own) != 3 || parts[0] != own[0] {
		return false
	}
	pid, err := strconv.Atoi(parts[1])
	if err != nil || pid < 1 {
		return false
	}
	process, err := os.FindProcess(pid)
	if err != nil || errors.Is(process.Signal(syscall.Signal(0)), os.ErrProcessDone) {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	// The name, in parentheses, may hold anything; the 22nd field is when it started.
	fields := strings.Fields(string(stat[max(0, strings.LastIndexByte(string(stat), ')')):]))
	return err == nil && len(fields) > 20 && (fields[20] != parts[2] || fields[1] == "Z")
}
