package main

import (
	"cmp"
	"context"
	"fmt"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drill"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// drillInstances makes temporary RDS instances for drills.
type drillInstances struct {
	*app
	repo *repo.Repository
}

func (i drillInstances) Sweep(ctx context.Context, region string) ([]string, error) {
	client, err := i.rdsClient(ctx, region)
	if err != nil {
		return nil, err
	}
	return rds.SweepTemporary(ctx, client, i.now(), i.log)
}

func (i drillInstances) Start(ctx context.Context, w drill.InstanceWish) (drill.Instance, error) {
	client, err := i.rdsClient(ctx, w.Snapshot.Region)
	if err != nil {
		return drill.Instance{}, err
	}
	t, err := rds.StartTemporary(ctx, rds.TemporaryOptions{
		Client: client, Snapshot: w.Snapshot, Drill: w.Into, Name: w.Name, Repo: i.repo, Expires: w.Expires, Now: i.now, Log: i.log,
		// Without a password of its user nobody could look into it.
		NewPassword: w.LookInto && w.Into.PasswordRef.IsZero(),
	})
	if err != nil {
		return drill.Instance{}, err
	}
	return drill.Instance{
		Identifier: t.Identifier, Version: t.Version, Isolation: t.Isolation(), Delete: t.Delete,
		Connect: func(ctx context.Context) (postgres.Target, error) { return i.connectInstance(ctx, t, w.Into) },
	}, nil
}

// connectInstance logs in to the database that checks are run in.
func (i drillInstances) connectInstance(ctx context.Context, t *rds.Temporary, into job.DrillInstance) (postgres.Target, error) {
	password := t.Password
	if !into.PasswordRef.IsZero() {
		given, err := i.secrets().Resolve(ctx, into.PasswordRef)
		if err != nil {
			return postgres.Target{}, fmt.Errorf("job.drill.into.rds_instance.password_ref: %w", err)
		}
		password = string(given)
	}
	to, err := postgres.ParseTarget(conninfo(job.Server{
		Host: t.Endpoint, Port: t.Port, User: cmp.Or(into.User, t.User), SSLMode: cmp.Or(into.SSLMode, "require"), MaintenanceDatabase: into.Database,
	}))
	if err != nil {
		return to, fmt.Errorf("log in to instance %s: %w", t.Identifier, err)
	}
	return to.WithPassword(password), nil
}
