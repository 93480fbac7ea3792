package main

import (
	"context"
	"slices"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/nearest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// checkSelection is nil when --source and the kind select a recovery point, or
// select nothing in particular. A mistyped name must not pass for "all is fine",
// so for an empty selection it says what there is: exit code 4, and 2 for a kind
// that does not exist.
func (a *app) checkSelection(ctx context.Context, r *repo.Repository, kind string) error {
	source := a.flags.source
	if source == "" && kind == "" {
		return nil
	}
	points, err := r.List(ctx, repo.Filter{})
	if err != nil {
		return err
	}
	var sources []string
	kinds := pointKinds()
	for _, p := range points {
		if (source == "" || p.Source == source) && (kind == "" || p.Kind == kind) {
			return nil
		}
		if p.Source != "" {
			sources, kinds = append(sources, p.Source), append(kinds, p.Kind)
		}
	}
	slices.Sort(sources)
	sources = slices.Compact(sources)
	slices.Sort(kinds)
	kinds = slices.Compact(kinds)
	switch {
	case kind != "" && !slices.Contains(kinds, kind):
		return usagef("--kind %q is not known%s", kind, nearest.Suggestion(kind, kinds))
	case len(points) == 0:
		return exitcode.Errorf(exitcode.NotFound, "nothing is selected: there are no recovery points in %s", r.URL())
	case source != "" && !slices.Contains(sources, source):
		hint := nearest.Suggestion(source, sources)
		if hint == "" {
			hint = "; `pgbackup-runner list` shows what there is"
		}
		return exitcode.Errorf(exitcode.NotFound, "source %q has no recovery points in %s%s", source, r.URL(), hint)
	case source != "":
		return exitcode.Errorf(exitcode.NotFound, "source %q has no recovery points of kind %s in %s", source, kind, r.URL())
	}
	return exitcode.Errorf(exitcode.NotFound, "there are no recovery points of kind %s in %s", kind, r.URL())
}
