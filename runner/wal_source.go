package main

import (
	"cmp"
	"context"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/spool"
)

// walSource is what the log of a server is archived under: the name that is given, or
// else its host, as base backups have it, or else this machine.
func (a *app) walSource(ctx context.Context) (string, error) {
	if name := a.sourceName(""); name != "" {
		return name, nil
	}
	named, ok := a.jobServer()
	switch {
	case a.flags.database != "", ok && !named.url.IsZero():
		s, err := a.server(ctx)
		return hostName(s.Target), err
	case ok && named.server != (job.Server{}):
		// Its host is known without its password.
		t, err := postgres.ParseTarget(conninfo(named.server))
		if err != nil {
			return "", usagef("%s.server: %w", named.field, err)
		}
		return hostName(t), nil
	}
	return thisHost(), nil
}

// walPlace says in one line which repository and source are meant, without reading
// anything but flags, variables and the job: secrets and stores stay closed.
func (a *app) walPlace() (string, error) {
	at, err := a.place()
	if err != nil {
		return "", err
	}
	parts := []string{at.String(), a.flags.from, a.sourceName("")}
	if named, ok := a.jobServer(); ok {
		parts = append(parts, named.url.String(), conninfo(named.server))
	}
	return strings.Join(append(parts, a.flags.database, thisHost()), " "), nil
}

// walJob is what the job says about WAL; of a job of another kind nothing, and that is
// wrong usage.
func (a *app) walJob() (job.WAL, error) {
	switch {
	case a.job == nil:
		return job.WAL{}, nil
	case a.job.WAL == nil:
		return job.WAL{}, usagef("job %q is of kind %s: give the job of kind %s", a.job.Name, a.job.Kind, job.KindWAL)
	}
	return *a.job.WAL, nil
}

// walOrOtherJob is what the job says about WAL, where it does: a job of base backups
// says as well where the archive of its server is.
func (a *app) walOrOtherJob() job.WAL {
	if a.job == nil || a.job.WAL == nil {
		return job.WAL{}
	}
	return *a.job.WAL
}

// walSpool is the directory of this machine for what may be lost.
func walSpool(flag, ofJob string) string { return cmp.Or(flag, ofJob, spool.Default()) }
