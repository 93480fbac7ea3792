package main

import (
	"context"
	"slices"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/nearest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// pointKinds are the kinds of recovery points that backup takes.
func pointKinds() []string {
	return slices.DeleteFunc(job.Kinds(), func(k string) bool { return !job.Kind(k).MakesPoints() })
}

// jobKind is the kind of points that the job makes, "" for none or no job.
func (a *app) jobKind() string {
	if a.job == nil || !a.job.Kind.MakesPoints() {
		return ""
	}
	return string(a.job.Kind)
}

// backupKind is the kind to take: of the job, else of --kind, else logical.
func (a *app) backupKind(flag string) (job.Kind, error) {
	if kinds := pointKinds(); flag != "" && !slices.Contains(kinds, flag) {
		return "", usagef("--kind %q is not known%s", flag, nearest.Suggestion(flag, kinds))
	}
	switch {
	case a.job == nil && flag == "":
		return job.KindLogical, nil
	case a.job == nil:
		return job.Kind(flag), nil
	case !a.job.Kind.MakesPoints():
		return "", usagef("job %q is of kind %s: run `pgbackup-runner %s --job %s`", a.job.Name, a.job.Kind, strings.Join(a.job.Words(), " "), a.flags.job)
	case flag != "" && flag != string(a.job.Kind):
		return "", usagef("--kind %s: job %q is of kind %s: leave --kind out, or --job", flag, a.job.Name, a.job.Kind)
	}
	return a.job.Kind, nil
}

// latestKind is the kind that "latest" means where none was given: the job's, or
// the only one there is. Which of several is not guessed: to restore a tar of
// files into a database would be a strange evening.
func (a *app) latestKind(ctx context.Context, r *repo.Repository, f repo.Filter) (string, error) {
	if kind := a.jobKind(); kind != "" {
		return kind, nil
	}
	points, err := r.List(ctx, f)
	if err != nil {
		return "", err
	}
	var kinds []string
	for _, p := range points {
		if p.Kind != "" && !slices.Contains(kinds, p.Kind) {
			kinds = append(kinds, p.Kind)
		}
	}
	if len(kinds) < 2 {
		return "", nil
	}
	slices.Sort(kinds)
	return "", usagef("latest could be of several kinds (%s): say which with --kind", strings.Join(kinds, ", "))
}
