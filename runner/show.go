package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

func newShow(a *app) *cobra.Command {
	var kind string
	cmd := &cobra.Command{
		Use: "show latest|ID", Short: "Show all that is known of one recovery point", Args: cobra.ExactArgs(1),
		Long: "Show the manifest of a recovery point. ID may be shortened as long as it is clear; --json prints the manifest itself, and why the point is held.",
		RunE: func(cmd *cobra.Command, args []string) error { return a.show(cmd.Context(), args[0], kind) },
	}
	cmd.Flags().StringVar(&kind, "kind", "", "latest of this `KIND`")
	return cmd
}

func (a *app) show(ctx context.Context, name, kind string) error {
	r, err := a.open(ctx)
	if err != nil {
		return err
	}
	p, err := a.find(ctx, r, name, kind)
	if err != nil {
		return err
	}
	m, err := r.Manifest(ctx, p.Ref)
	if err != nil {
		return err
	}
	var held *hold
	if p.Held {
		h, err := readHold(ctx, r, p.Ref)
		if err != nil {
			a.log.Warn(oneLine(err.Error())) // held it is all the same
		} else {
			held = &h
		}
	}
	if a.flags.json {
		document, err := withHold(m, held)
		if err != nil {
			return err
		}
		return a.printJSON(document)
	}
	if !r.HasKey() {
		a.warn("the repository is encrypted and its key was not given: what follows was not authenticated")
	}
	return a.table([]string{"recovery point", m.ID}, describe(m, p, held, a.now()))
}

func describe(m *repo.Manifest, p repo.Listed, held *hold, now time.Time) [][]string {
	var rows [][]string
	add := func(name, format string, args ...any) {
		if text := fmt.Sprintf(format, args...); strings.TrimSpace(text) != "" {
			rows = append(rows, []string{name, text})
		}
	}
	add("source", "%s", m.Source)
	add("kind", "%s", m.Kind)
	add("state", "%s", state(p))
	if held != nil {
		add("held", "since %s by %s", stamp(held.Since), held.By)
		add("held because", "%s", held.Why)
	}
	add("started", "%s (%s ago)", stamp(m.Start), age(now.Sub(m.Start)))
	add("took", "%s", took(m.End.Sub(m.Start)))
	describeOrigin(m, add)
	add("verified", "%s", verification(m.Verification))
	if m.Seal != nil {
		add("encrypted", "%s, repository key %s", m.Seal.Algorithm, m.Seal.RepositoryKey)
	} else {
		add("encrypted", "no")
	}
	if m.Policy != "" {
		add("policy", "%s, revision %d", m.Policy, m.PolicyRevision)
	}
	add("job", "%s", m.Job)
	for _, s := range m.Skipped {
		add("not included", "%s: %s", s.What, s.Why)
	}
	for _, o := range m.Objects {
		add("object", "%s: %s, %s before compression", o.Name, size(o.Size), size(o.PlainSize))
	}
	add("steps", "%s", durations(m.Durations))
	return rows
}

// describeOrigin says where the contents came from and what they are.
func describeOrigin(m *repo.Manifest, add func(name, format string, args ...any)) {
	if m.Kind == logical.Kind {
		add("server", "PostgreSQL %s, database %s", m.Server.Version, m.Server.Database)
		add("dumped with", "%s", m.Tool)
		add("contents", "%s, %s, %s", plural(m.Totals.Tables, "table"), plural(m.Totals.Rows, "row"), plural(m.Totals.LargeObjects, "large object"))
		add("size", "%s of table data, %s stored", size(m.Totals.Bytes), size(m.StoredSize()))
		if o := m.Origin; o != nil && o.Imported != nil {
			add("imported from", "%s (%s), SHA-256 %s", o.Imported.Name, describeImported(*o.Imported), o.Imported.SHA256)
			add("dated by", "%s", o.Imported.DateFrom)
			add("left out", "%s", strings.Join(o.Imported.Notes, "; "))
		}
		return
	}
	if m.Server.Version != "" {
		add("server", "PostgreSQL %s", m.Server.Version)
	}
	if o := m.Origin; o != nil {
		add("host", "%s", o.Host)
		add("paths", "%s", strings.Join(o.Paths, ", "))
		add("excluded", "%s", strings.Join(o.Exclude, ", "))
		add("directory", "%s", o.Directory)
		if o.ParameterGroup != "" {
			add("parameters", "group %s of %s", o.ParameterGroup, o.RDS)
		}
		add("file name", "%s", o.FileName)
	}
	add("made with", "%s", m.Tool)
	describePhysicalPoint(m, add)
	if r := m.RDS; r != nil {
		add("snapshot", "%s of %s in %s (%s %s)", r.Snapshot, r.Database, r.Region, r.Engine, r.Version)
		return
	}
	add("contents", "%s", inIt(m))
	add("size", "%s stored", size(m.StoredSize()))
}

func verification(v repo.Verification) string {
	parts := []string{v.Level}
	if v.Archive {
		parts = append(parts, "archive parsed to its end")
	}
	if v.Reference != "" {
		parts = append(parts, "read by "+v.Reference)
	}
	if v.StoreChecksum != "" {
		parts = append(parts, "store agrees ("+v.StoreChecksum+")")
	}
	return strings.Join(parts, ", ")
}

func durations(seconds map[string]float64) string {
	var steps []string
	for name := range seconds {
		steps = append(steps, name)
	}
	slices.Sort(steps)
	for i, name := range steps {
		steps[i] = fmt.Sprintf("%s %.1fs", name, seconds[name])
	}
	return strings.Join(steps, ", ")
}
