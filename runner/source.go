package main

import (
	"cmp"
	"context"
	"os"
	"slices"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// sourceName is what is backed up is called: by --source, the job, or else.
func (a *app) sourceName(otherwise string) string {
	if a.job != nil {
		return cmp.Or(a.flags.source, a.job.Source, otherwise)
	}
	return cmp.Or(a.flags.source, otherwise)
}

// thisHost names this machine in a source's name.
func thisHost() string {
	host, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return host
}

// randomHosts are set, as their makers document, where every run has a machine of
// another name: on Fargate and ECS, in a pod of Kubernetes, and in GitHub Actions.
var randomHosts = []string{"ECS_CONTAINER_METADATA_URI_V4", "KUBERNETES_SERVICE_HOST", "GITHUB_ACTIONS"}

// hostIsRandom tells whether the name of this machine is another one in each run:
// then it belongs into no source's name, or each run would begin a source.
func (a *app) hostIsRandom() bool {
	return a.onLambda || slices.ContainsFunc(randomHosts, func(name string) bool { return os.Getenv(name) != "" })
}

// machineSource names what a job reads of this machine, <job>@<host>: several may
// have the same job, and would rotate each other's points away under one name.
func (a *app) machineSource() string {
	if a.hostIsRandom() {
		return a.job.Name
	}
	return a.job.Name + "@" + thisHost()
}

// readsMachine tells whether the job makes a source for each machine it runs on.
func (a *app) readsMachine() bool {
	if a.job == nil || a.job.Source != "" {
		return false
	}
	switch a.job.Kind {
	case job.KindFiles, job.KindCommand:
		return true
	case job.KindConfig:
		return a.job.Config != nil && a.job.Config.Directory != ""
	}
	return false
}

// ofMachines matches the sources of a job that makes one for each machine.
func (a *app) ofMachines(source string) bool {
	return source == a.job.Name || strings.HasPrefix(source, a.job.Name+"@")
}

// latestSource is the source that "latest" means where --source does not say it; ""
// for whichever is newest. Of a job on several machines it is this one's, or that
// of the only one which has a point.
func (a *app) latestSource(ctx context.Context, r *repo.Repository, kind string) (string, error) {
	if !a.readsMachine() {
		return a.jobSource(), nil
	}
	points, err := r.List(ctx, repo.Filter{Kind: cmp.Or(kind, a.jobKind())})
	if err != nil {
		return "", err
	}
	var sources []string
	for _, p := range points {
		if a.ofMachines(p.Source) && !slices.Contains(sources, p.Source) {
			sources = append(sources, p.Source)
		}
	}
	switch here := a.machineSource(); {
	case len(sources) == 0 || slices.Contains(sources, here):
		return here, nil
	case len(sources) == 1:
		return sources[0], nil
	}
	slices.Sort(sources)
	return "", usagef("latest could be of several machines (%s): say which with --source", strings.Join(sources, ", "))
}

// jobSource is the one source that the job makes, "" when there are several or
// when only a connection would tell.
func (a *app) jobSource() string {
	if a.job == nil {
		return ""
	}
	l := a.job.Logical
	switch {
	case !a.job.Kind.MakesPoints():
		return ""
	case a.job.Source == "" || l == nil:
		return a.job.Source
	case !l.DatabaseURLRef.IsZero():
		return a.job.Source
	case len(l.Databases) == 1:
		return l.Databases[0] + "@" + a.job.Source
	}
	return ""
}
