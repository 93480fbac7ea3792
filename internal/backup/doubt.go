package backup

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
func (r *run) doubt(ctx context.Context, newest *repo.Listed) {
	s := r.snapshot.Server
	// The server told its clock while the dump was being prepared, seconds ago.
	if apart := r.snapshotAt.Sub(s.Clock).Abs(); !s.Clock.IsZero() && apart > retention.FutureSkew {
		r.doubtful(fmt.Sprintf("the clocks of this machine and of the server are %s apart: set the wrong one", apart.Round(time.Second)))
	}
	if newest == nil || s.SystemIdentifier == "" {
		return
	}
	before, err := r.Repo.Manifest(ctx, newest.Ref)
	if err != nil || before.Server.SystemIdentifier == "" || before.Server.SystemIdentifier == s.SystemIdentifier {
		return // an unreadable manifest stops rotation by itself
	}
	r.doubtful(fmt.Sprintf("this is another server (system identifier %s) than that of the newest backup %s (%s): after a migration this is said once; if two servers share the source name %s, give each its own with --source",
		s.SystemIdentifier, newest.ID, before.Server.SystemIdentifier, r.Source))
}

func (r *run) doubtful(why string) {
	r.result.Doubt = why
	r.warn("%s; nothing is rotated after this backup", why)
}
