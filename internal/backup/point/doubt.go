package point

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// doubt says why nothing should be deleted on the strength of this backup. Each
// reason is a warning too: the backup itself is as good as any.
//
// A host whose clock is a year ahead would date this backup a year ahead, and
// every other point would be too old for every rule. And two servers, or two
// machines, that share a source name by mistake would rotate each other's backups
// away.
func (w *Writing) doubt(ctx context.Context, m *repo.Manifest) {
	asked := w.serverAsked
	if asked.IsZero() {
		asked = w.start
	}
	if apart := asked.Sub(m.Server.Clock).Abs(); !m.Server.Clock.IsZero() && apart > retention.FutureSkew {
		w.doubtful(fmt.Sprintf("the clocks of this machine and of the server are %s apart: set the wrong one", apart.Round(time.Second)))
	}
	if w.newest == nil || m.Server.SystemIdentifier == "" && m.Origin == nil {
		return
	}
	before, err := w.Repo.Manifest(ctx, w.newest.Ref)
	if err != nil {
		return // an unreadable manifest stops rotation by itself
	}
	if was, is := before.Server.SystemIdentifier, m.Server.SystemIdentifier; was != "" && is != "" && was != is {
		w.doubtful(fmt.Sprintf("this is another server (system identifier %s) than that of the newest backup %s (%s): after a migration this is said once; if two servers share the source name %s, give each its own with --source",
			is, w.newest.ID, was, w.Source))
	}
	if was, is := moved(before.Origin, m.Origin); was != is {
		w.doubtful(fmt.Sprintf("this was read from %s, and the newest backup %s from %s: after a change this is said once; if two machines or two jobs share the source name %s, give each its own with --source",
			is, w.newest.ID, was, w.Source))
	}
}

// moved tells two origins apart: what each was read from, the same text twice where
// they do not differ. What one of them does not say is no difference, such as the
// host of a run whose machine has a new name each time.
func moved(before, now *repo.Origin) (was, is string) {
	if before == nil || now == nil {
		return "", ""
	}
	switch {
	case before.Host != now.Host && before.Host != "" && now.Host != "":
		return "host " + before.Host, "host " + now.Host
	case !slices.Equal(slices.Sorted(slices.Values(before.Paths)), slices.Sorted(slices.Values(now.Paths))):
		return strings.Join(before.Paths, ", "), strings.Join(now.Paths, ", ")
	case before.Program != now.Program:
		return "program " + before.Program, "program " + now.Program
	case before.Directory != now.Directory:
		return readFrom(before), readFrom(now)
	case before.RDS != now.RDS || before.RDSCluster != now.RDSCluster:
		return readFrom(before), readFrom(now)
	}
	return "", ""
}

// readFrom says where a configuration came from.
func readFrom(o *repo.Origin) string {
	switch {
	case o.Directory != "":
		return "directory " + o.Directory
	case o.RDSCluster:
		return "RDS cluster " + o.RDS
	case o.RDS != "":
		return "RDS instance " + o.RDS
	}
	return "a server"
}

func (w *Writing) doubtful(why string) {
	w.result.Doubt = why
	w.Warn("%s; nothing is rotated after this backup", why)
}
