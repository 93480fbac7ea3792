package main

import (
	"cmp"
	"context"
	"fmt"

	awsrds "github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/config"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
)

// takeConfig is a backup of a server's configuration.
func (a *app) takeConfig(ctx context.Context, f backupFlags) ([]take, error) {
	from, otherwise, err := a.configSource(ctx, job.Config{Directory: f.directory, RDSInstance: f.rdsInstance, RDSCluster: f.rdsCluster})
	if err != nil {
		return nil, err
	}
	options := func(o point.Options) config.Options { return config.Options{Options: o, From: from} }
	return []take{{
		kind: job.KindConfig, source: a.sourceName(otherwise),
		run: func(ctx context.Context, o point.Options) (point.Result, error) { return config.Run(ctx, options(o)) },
		plan: func(ctx context.Context, o point.Options) (preview, error) {
			p, err := config.Plan(ctx, options(o))
			return preview{document: p, skipped: p.Skipped,
				text: fmt.Sprintf("Would back up %s: %s (%s) of %s", p.Source, plural(int64(len(p.Files)), "file"), size(p.Bytes), p.From)}, err
		},
	}}, nil
}

// configSource is where a configuration is read: as given, else as the job says,
// else from the server. With it comes a name for its source.
func (a *app) configSource(ctx context.Context, c job.Config) (from config.Source, name string, err error) {
	given := 0
	for _, place := range []string{c.Directory, c.RDSInstance, c.RDSCluster} {
		if place != "" {
			given++
		}
	}
	if given > 1 {
		return nil, "", usagef("config: give one of --directory, --rds-instance and --rds-cluster")
	}
	if given == 0 && a.job != nil && a.job.Config != nil {
		c = *a.job.Config
	}
	if err := c.Validate(); err != nil {
		return nil, "", usagef("config: %w", err)
	}
	switch {
	case c.Directory != "":
		name := thisHost()
		if a.job != nil {
			name = a.machineSource()
		}
		return config.Directory{Path: c.Directory}, name, nil
	case c.RDSInstance != "" || c.RDSCluster != "":
		client, err := a.rdsClient(ctx, c.Region)
		if err != nil {
			return nil, "", err
		}
		id := cmp.Or(c.RDSInstance, c.RDSCluster)
		return config.ParameterGroup{ID: id, Cluster: c.RDSCluster != "", From: parameterGroups{client}}, id, nil
	}
	s, err := a.server(ctx)
	if err != nil {
		return nil, "", err
	}
	return config.Server{Target: s.Target, Clock: a.now}, hostName(s.Target), nil
}

// parameterGroups reads parameter groups through AWS.
type parameterGroups struct{ client *awsrds.Client }

// Parameters implements config.ParameterSource.
func (p parameterGroups) Parameters(ctx context.Context, id string, cluster bool) (string, []config.Parameter, error) {
	found, group, err := p.client.Parameters(ctx, awsrds.Target{ID: id, Cluster: cluster})
	list := make([]config.Parameter, len(found))
	for i, x := range found {
		list[i] = config.Parameter(x)
	}
	return group, list, err
}
