package main

import (
	"context"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// contents checks what a job of another kind than logical would back up, by a dry
// run of it.
func (d *doctor) contents(ctx context.Context) {
	if d.job == nil || !d.job.Kind.MakesPoints() || d.job.Kind == job.KindLogical || d.job.Kind == job.KindRDSSnapshot || d.unreachable {
		return
	}
	check := string(d.job.Kind)
	r, err := d.open(ctx)
	if err != nil {
		return // said already
	}
	takes, err := d.takes(ctx, d.job.Kind, backupFlags{}, r)
	if err != nil {
		d.add(check, bad, "", "%v", err)
		return
	}
	for _, t := range takes {
		p, err := t.plan(ctx, point.Options{Repo: r, Source: t.source, Self: repo.Self(), Log: d.log})
		switch {
		case err != nil:
			d.add(check, bad, "", "%v", err)
		case len(p.warnings)+len(warnable(t.kind, p.skipped)) > 0:
			d.add(check, soso, "", "%s: %s", p.text, strings.Join(append(p.warnings, warnable(t.kind, p.skipped)...), "; "))
		default:
			d.add(check, good, "", "%s", p.text)
		}
	}
}

// warnable is what of the skipped is more than sockets and the like.
func warnable(kind job.Kind, list []repo.Skipped) []string {
	var out []string
	if kind == job.KindConfig {
		for _, s := range list {
			out = append(out, s.What+": "+s.Why)
		}
	}
	return out
}
