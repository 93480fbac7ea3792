package schedule

import (
	"fmt"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/deployment"
)

// Base backups and WAL: from the models to a job file's content, and back.

// onRDS are the hosts of servers that nobody can stream from: no role there may have
// REPLICATION, which pg_basebackup and receivers need.
var onRDS = regexp.MustCompile(`\.rds\.amazonaws\.com(\.cn)?$`)

func checkHost(at string, s job.Server, errs *[]error) {
	if onRDS.MatchString(s.Host) {
		*errs = append(*errs, fmt.Errorf("%s.host = %q: RDS and Aurora let nobody stream from them; use job.rds_snapshot, and pgbackup_rds_retention for recovery to a point in time", at, s.Host))
	}
}

func (p physicalModel) toJob(errs *[]error) *job.Physical {
	out := &job.Physical{
		Server: p.Server.ToJob("job.physical.server", errs), DatabaseURLRef: deployment.Reference("job.physical.database_url_ref", p.DatabaseURLRef, errs),
		Checkpoint: p.Checkpoint.ValueString(), MaxRate: p.MaxRate.ValueInt64(), Compression: p.Compression.ValueString(),
		WALTimeout: deployment.Span("job.physical.wal_timeout", p.WALTimeout, errs),
	}
	if i := p.Incremental; i != nil {
		out.Incremental = &job.Incremental{FullEvery: deployment.Span("job.physical.incremental.full_every", i.FullEvery, errs)}
	}
	checkHost("job.physical.server", out.Server, errs)
	return out
}

func fromPhysical(p job.Physical, point pointModel) *physicalModel {
	m := &physicalModel{
		pointModel: point, Reach: deployment.ReadReach(p.Server, deployment.Optional(p.DatabaseURLRef.String())),
		Checkpoint: deployment.Optional(p.Checkpoint), MaxRate: number(p.MaxRate), Compression: deployment.Optional(p.Compression), WALTimeout: span(p.WALTimeout),
	}
	if i := p.Incremental; i != nil {
		m.Incremental = &incrementalModel{FullEvery: span(i.FullEvery)}
	}
	return m
}

func (w walModel) toJob(errs *[]error) *job.WAL {
	out := &job.WAL{
		Mode: w.Mode.ValueString(), Server: w.Server.ToJob("job.wal.server", errs), DatabaseURLRef: deployment.Reference("job.wal.database_url_ref", w.DatabaseURLRef, errs),
		DataDirectory: w.DataDirectory.ValueString(), Ahead: int(w.Ahead.ValueInt64()), Jobs: int(w.Jobs.ValueInt64()),
		Slot: w.Slot.ValueString(), Every: deployment.Span("job.wal.every", w.Every, errs), Confirm: w.Confirm.ValueString(),
		SlotLimit: w.SlotLimit.ValueInt64(), SpoolLimit: w.SpoolLimit.ValueInt64(), Spool: w.Spool.ValueString(),
	}
	if h := w.Heartbeat; h != nil {
		out.Heartbeat = &job.Heartbeat{Database: h.Database.ValueString(), Every: deployment.Span("job.wal.heartbeat.every", h.Every, errs)}
	}
	checkHost("job.wal.server", out.Server, errs)
	return out
}

func fromWAL(w job.WAL) *walModel {
	m := &walModel{
		Reach: deployment.ReadReach(w.Server, deployment.Optional(w.DatabaseURLRef.String())),
		Mode:  deployment.Optional(w.Mode), DataDirectory: deployment.Optional(w.DataDirectory), Ahead: number(int64(w.Ahead)), Jobs: number(int64(w.Jobs)),
		Slot: deployment.Optional(w.Slot), Every: span(w.Every), Confirm: deployment.Optional(w.Confirm),
		SlotLimit: number(w.SlotLimit), SpoolLimit: number(w.SpoolLimit), Spool: deployment.Optional(w.Spool),
	}
	if h := w.Heartbeat; h != nil {
		m.Heartbeat = &heartbeatModel{Database: deployment.Optional(h.Database), Every: span(h.Every)}
	}
	return m
}

// number is null for what was not given.
func number(n int64) types.Int64 {
	if n == 0 {
		return types.Int64Null()
	}
	return types.Int64Value(n)
}

func span(d duration.Duration) types.String {
	if d.IsZero() {
		return types.StringNull()
	}
	return types.StringValue(d.String())
}
