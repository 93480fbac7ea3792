package deployment

import (
	"cmp"
	"context"
	"os"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/fargate"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/connection"
)

// Planned is a deployment that is planned.
type Planned struct {
	Declared
	Machine
	Job    job.Job
	Conn   *connection.Connection
	Target string // as in package deploy
	// Before is what was deployed when the state was read; nil for a new one.
	Before Declared
}

// Machine is what a job runs on, as far as a Type has to know it.
type Machine struct {
	// Stock: in the stock image of PostgreSQL, or one of the user's that stands for it.
	Stock           bool
	Image           string // the user's; "" is the stock one
	PostgresVersion int    // major version of the stock image
	StorageGiB      int64  // of the disk of a task on Fargate; 0 is the 20 that every task has
}

func (on runOnModel) machine() Machine {
	switch {
	case on.Fargate != nil:
		f := on.Fargate
		return Machine{Stock: true, Image: f.Image.ValueString(), PostgresVersion: major(f.PostgresVersion.ValueInt64()), StorageGiB: f.Storage.ValueInt64()}
	case on.Kubernetes != nil:
		k := on.Kubernetes
		return Machine{Stock: true, Image: k.Image.ValueString(), PostgresVersion: major(k.PostgresVersion.ValueInt64())}
	}
	return Machine{}
}

func major(given int64) int { return cmp.Or(int(given), fargate.DefaultPostgresVersion) }

// DeployedAt is when the job file that is in use was written, by the clock of where
// it lies: before then the job did not run as it does now. False where that cannot
// be told.
func (p Planned) DeployedAt(ctx context.Context) (time.Time, bool) {
	if p.Before == nil {
		return time.Time{}, false
	}
	m := p.Before.Base()
	if file := m.JobPath.ValueString(); file != "" {
		st, err := os.Stat(file)
		if err != nil {
			return time.Time{}, false
		}
		return st.ModTime(), true
	}
	at, key, _, err := splitJobURL(m.JobURL.ValueString())
	if err != nil {
		return time.Time{}, false
	}
	store, err := p.Conn.OpenStore(ctx, at, false)
	if err != nil {
		return time.Time{}, false
	}
	info, err := store.Head(ctx, key, "")
	if err != nil {
		return time.Time{}, false
	}
	return info.Modified, true
}
