package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/contents"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/lifecycle"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/rotate"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/storageclass"
)

// take is one point that a run makes.
type take struct {
	kind     job.Kind
	source   string
	database string // of a logical backup
	every    string // of one of every database of a server: what follows it in the name, @<source>
	run      func(context.Context, point.Options) (point.Result, error)
	plan     func(context.Context, point.Options) (preview, error)
}

// preview is what a dry run says of one point.
type preview struct {
	document any    // for --json
	text     string // for people: "Would back up …", a sentence without a full stop
	skipped  []repo.Skipped
	warnings []string
}

// backupRun is one invocation of backup: one point or many.
type backupRun struct {
	*app
	opts   point.Options
	rotate bool

	taken    []takenPoint
	failed   []failedDump
	errs     []error
	deleted  []rotate.Decision
	warnings []string

	undeclared bool // it was said that the store locks what nothing declares
}

// takenPoint is a new point in the document of `backup --json`.
type takenPoint struct {
	ID       string            `json:"id"`
	Source   string            `json:"source"`
	Kind     string            `json:"kind"`
	Start    time.Time         `json:"start"`
	End      time.Time         `json:"end"`
	Bytes    int64             `json:"bytes"`
	Verified bool              `json:"verified"`
	Held     bool              `json:"held"`
	Tables   int64             `json:"tables"`
	Rows     int64             `json:"rows"`
	Files    int64             `json:"files,omitempty"`
	Verify   repo.Verification `json:"verification"`
	Skipped  []repo.Skipped    `json:"skipped"`
}

// failedDump is what was not backed up.
type failedDump struct {
	Source   string `json:"source"`
	Database string `json:"database,omitempty"`
	Kind     string `json:"kind"`
	Problem  string `json:"problem"`
}

func (b *backupRun) warned(format string, args ...any) {
	w := oneLine(fmt.Sprintf(format, args...))
	b.warnings = append(b.warnings, w)
	b.warn(w)
}

// stampPolicy finds out under which policy revision the backup is taken. Not
// knowing it is no reason to go without a backup.
func (b *backupRun) stampPolicy(ctx context.Context) {
	found, err := b.policyRules(ctx, b.opts.Repo)
	if err != nil {
		b.warned("the policy could not be read, the backup is taken all the same and nothing will be rotated: %v", err)
		b.rotate = false
	}
	b.opts.Policy, b.opts.PolicyRevision = found.name, found.revision
	if rev := found.declared(); rev != nil {
		b.store(rev.Document, found.UploadTier())
	}
}

// store says how the objects of a new point are stored under a policy: in the
// class of the tier it begins in, and with the tags that the bucket's rules go by.
func (b *backupRun) store(d policy.Document, tier string) {
	b.opts.Tier = tier
	// STANDARD is what every store does by itself; some know no classes at all.
	if class := d.Storage.UploadClass(tier); class != storageclass.Standard {
		b.opts.StorageClass = class
	}
	if hasTiers(d) && b.opts.Repo.CanTag() {
		b.opts.Tags = repo.TierTags(d.Name, tier)
	}
}

// hasTiers tells whether it matters in which tier a point of the policy is: some
// rule of the bucket goes by its tags, for a transition or for the class of a tier.
func hasTiers(d policy.Document) bool { return len(lifecycle.OfPolicy(d, "")) > 0 }

// takeAll takes one point after the other. One that fails does not keep the others
// from being taken.
func (b *backupRun) takeAll(ctx context.Context, takes []take) error {
	for _, t := range takes {
		if ctx.Err() != nil {
			break
		}
		err := b.take(ctx, t)
		if err == nil {
			continue
		}
		b.errs = append(b.errs, err)
		b.failed = append(b.failed, failedDump{Source: t.source, Database: t.database, Kind: string(t.kind), Problem: oneLine(err.Error())})
		if len(takes) > 1 {
			b.log.Error("a database was not backed up", "source", t.source, "error", err)
		}
	}
	return b.finish(ctx, len(takes))
}

func (b *backupRun) take(ctx context.Context, t take) error {
	opts := b.opts
	opts.Source, opts.Progress = t.source, &point.Progress{}
	b.log.Info("backup begins", "source", t.source, "kind", t.kind, "repository", opts.Repo.URL())
	stop := b.draw(opts.Progress)
	result, err := t.run(ctx, opts)
	stop()
	if err != nil {
		return err
	}
	m := result.Manifest
	b.madePoint(madePoint{Source: m.Source, Kind: m.Kind, ID: m.ID, Stored: m.StoredSize(), Plain: m.PlainSize(contents.Main(m.Kind)), Rows: m.Totals.Rows, Tables: m.Totals.Tables})
	if n := result.Swept; n.Points > 0 || n.Uploads > 0 {
		b.log.Info("cleared what an earlier run left", "backups", n.Points, "uploads", n.Uploads)
	}
	for _, w := range result.Warnings {
		b.warned("%s: %s", t.source, w)
	}
	if refused := opts.Repo.TagsRefused(); refused != nil && b.opts.Tags != nil {
		b.warned("%s", rotate.Untagged(opts.Policy, refused))
		b.opts.Tags = nil // said once
	}
	if err := opts.Repo.Undeclared(ctx); err != nil && !b.undeclared {
		b.undeclared = true // said once
		b.warned("%s", err)
	}
	b.taken = append(b.taken, takenPoint{
		ID: m.ID, Source: m.Source, Kind: m.Kind, Start: m.Start.UTC(), End: m.End.UTC(), Bytes: m.StoredSize(), Verified: true, Held: opts.Hold,
		Tables: m.Totals.Tables, Rows: m.Totals.Rows, Files: m.Totals.Files, Verify: m.Verification, Skipped: nonNil(m.Skipped),
	})
	b.log.Info("backup is good", "point", m.Ref().String(), "stored", m.StoredSize(), "rows", m.Totals.Rows, "seconds", m.End.Sub(m.Start).Seconds())
	b.say("Backed up %s as %s in %s: %s, %s stored.", m.Source, m.ID, took(m.End.Sub(m.Start)), inIt(m), size(m.StoredSize()))
	if b.rotate && result.Doubt == "" {
		b.rotateOwn(ctx, m.Source, m.Kind)
	}
	return nil
}

// rotateOwn applies the policy as it is now to the source just backed up. The
// backup is good whatever happens here: trouble is a warning.
func (b *backupRun) rotateOwn(ctx context.Context, source, kind string) {
	found, err := b.rules(ctx, b.opts.Repo, nil)
	if err != nil {
		b.warned("the backup is good, but nothing was rotated: %v", err)
		return
	}
	if found.none != "" {
		if found.name != "" {
			b.log.Info(found.none + ": nothing is rotated")
		}
		return
	}
	opts, err := b.rotateOptions(ctx, b.opts.Repo, found)
	if err != nil {
		b.warned("the backup is good, but nothing was rotated: %v", err)
		return
	}
	opts.Filter = repo.Filter{Source: source, Kind: kind}
	out, err := rotate.Run(ctx, opts)
	b.deleted = append(b.deleted, out.Delete...)
	b.deletedAll(out.Delete)
	for _, w := range out.Warnings {
		b.warned("%s", w)
	}
	if err != nil {
		b.warned("the backup is good, but the rotation failed: %v", err)
	}
	if n := len(out.Delete); n > 0 {
		b.say("Rotated %s: deleted %d, kept %d.", source, n, len(out.Keep))
	}
	for _, w := range out.WAL {
		if w.Delete.Files > 0 {
			b.sayWAL([]rotate.WAL{w}, false)
		}
	}
}

// finish prints the document and sums up.
func (b *backupRun) finish(ctx context.Context, wanted int) error {
	if b.flags.json {
		doc := map[string]any{"points": nonNil(b.taken), "failed": nonNil(b.failed), "deleted": nonNil(b.deleted), "warnings": nonNil(b.warnings)}
		if err := b.printJSON(doc); err != nil {
			return errors.Join(append(b.errs, err)...)
		}
	}
	switch {
	case len(b.errs) == 1 && wanted == 1:
		return b.errs[0]
	case len(b.errs) > 0:
		names := make([]string, len(b.failed))
		for i, f := range b.failed {
			names[i] = f.Source
		}
		return exitcode.Errorf(b.failureCode(), "%d of %d databases were not backed up: %s; the first error: %w", len(b.errs), wanted, strings.Join(names, ", "), b.errs[0])
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case len(b.warnings) > 0:
		return errWarned
	}
	return nil
}

// failureCode is that of a lock when nothing worse happened than another run at
// every database that failed: a scheduler may simply come again.
func (b *backupRun) failureCode() exitcode.Code {
	for _, err := range b.errs {
		if !errors.Is(err, repo.ErrLocked) {
			return exitcode.Failed
		}
	}
	return exitcode.Locked
}

// plan says what a run would do.
func (b *backupRun) plan(ctx context.Context, takes []take) error {
	documents := []any{}
	var previews []preview
	for _, t := range takes {
		opts := b.opts
		opts.Source = t.source
		p, err := t.plan(ctx, opts)
		if err != nil {
			return err
		}
		for _, w := range p.warnings {
			b.warned("%s: %s", t.source, w)
		}
		documents, previews = append(documents, p.document), append(previews, p)
	}
	if b.flags.json {
		doc := map[string]any{"would_back_up": documents, "policy": b.opts.Policy, "policy_revision": b.opts.PolicyRevision,
			"rotate": b.rotate && b.opts.Policy != "", "warnings": nonNil(b.warnings)}
		if err := b.printJSON(doc); err != nil {
			return err
		}
	}
	sealed := "not encrypted"
	if b.opts.Repo.Sealed() {
		sealed = "encrypted"
	}
	for _, p := range previews {
		b.say("%s, to %s, %s.", p.text, b.opts.Repo.URL(), sealed)
		for _, s := range p.skipped {
			b.say("  without %s: %s", s.What, s.Why)
		}
	}
	if b.rotate && b.opts.Policy != "" {
		b.say("Would then rotate by policy %s.", b.opts.Policy)
	}
	b.say("Nothing was written.")
	if len(b.warnings) > 0 {
		return errWarned
	}
	return nil
}

// inIt says in a few words what a point holds.
func inIt(m *repo.Manifest) string {
	switch t := m.Totals; {
	case m.Kind == logical.Kind:
		return plural(t.Tables, "table") + ", " + plural(t.Rows, "row")
	case contents.IsTar(m.Kind):
		return plural(t.Files, "file") + ", " + size(t.Bytes)
	default:
		return size(t.Bytes)
	}
}

func repoNeedsKey(r *repo.Repository) error {
	return fmt.Errorf("back up to %s: %w: give --key env:NAME or file:/path, or set %s", r.URL(), repo.ErrNoKey, envKey)
}
