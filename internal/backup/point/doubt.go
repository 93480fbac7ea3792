package point

import (
	"context"
	"fmt"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// doubt says why nothing should be deleted on the strength of this backup. Each
// reason is a warning too: the backup itself is as good as any.
//
// A host whose clock is a year ahead would date this backup a year ahead, and
// every other point would be too old for every rule. And two servers that share a
// source name by mistake would rotate each other's backups away.
func (w *Writing) doubt(ctx context.Context, s repo.Server) {
	asked := w.serverAsked
	if asked.IsZero() {
		asked = w.start
	}
	if apart := asked.Sub(s.Clock).Abs(); !s.Clock.IsZero() && apart > retention.FutureSkew {
		w.doubtful(fmt.Sprintf("the clocks of this machine and of the server are %s apart: set the wrong one", apart.Round(time.Second)))
	}
	if w.newest == nil || s.SystemIdentifier == "" {
		return
	}
	before, err := w.Repo.Manifest(ctx, w.newest.Ref)
	if err != nil || before.Server.SystemIdentifier == "" || before.Server.SystemIdentifier == s.SystemIdentifier {
		return // an unreadable manifest stops rotation by itself
	}
	w.doubtful(fmt.Sprintf("this is another server (system identifier %s) than that of the newest backup %s (%s): after a migration this is said once; if two servers share the source name %s, give each its own with --source",
		s.SystemIdentifier, w.newest.ID, before.Server.SystemIdentifier, w.Source))
}

func (w *Writing) doubtful(why string) {
	w.result.Doubt = why
	w.Warn("%s; nothing is rotated after this backup", why)
}
