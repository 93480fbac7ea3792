package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// statusFlags of the command status.
type statusFlags struct{ maxAge, kind string }

// sourceStatus is a source in the document of `status --json`, which others rely
// on. Newest, Start and Age are null when there is no good point; MaxAge when
// nothing says how old one may be.
type sourceStatus struct {
	Source string     `json:"source"`
	Kind   string     `json:"kind"`
	Newest *string    `json:"newest"` // id of the newest good point
	Start  *time.Time `json:"start"`
	Age    *int64     `json:"age_seconds"`
	MaxAge *int64     `json:"max_age_seconds"`
	Fresh  bool       `json:"fresh"`
	// WAL is what the archived log after base backups reaches; left out of other kinds,
	// and where none of them can be recovered to its end.
	WAL *walStatus `json:"wal,omitempty"`
}

// walStatus says how new the archived log of a server is.
type walStatus struct {
	RecoverableTo time.Time `json:"recoverable_to"` // the newest commit in it
	Stored        time.Time `json:"stored"`         // when the newest of it came, by the store's clock
	Age           int64     `json:"age_seconds"`    // of the later of both
}

func newStatus(a *app) *cobra.Command {
	var f statusFlags
	cmd := &cobra.Command{
		Use: "status", Short: "Tell whether every source has a backup that is new enough", Args: cobra.NoArgs,
		Long: `Look for the newest good recovery point of every source under the policy, or in the
whole repository without one, and compare its age with what is promised: --max-age,
else the job's max_age, else the recovery point objective of the policy. The age counts
from the start of a backup: what was written since would be lost. Of base backups whose
server's log is archived, an objective of the policy is held against the newest of that
log, and a --max-age or max_age against the base backup itself.

The exit code is 0 when all are new enough, 1 when one is not, and 4 when there is no
recovery point at all. A source that nobody backs up any more is told until its points
are gone, or narrow the question with --source or --kind.`,
		Example: "  pgbackup-runner status --job /etc/pgbackup/freshness.job.json\n  pgbackup-runner status --repository s3://acme-pg-backups/prod --policy prod --max-age 25h",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.status(cmd.Context(), f) },
	}
	cmd.Flags().StringVar(&f.maxAge, "max-age", "", "how old the newest good point may be, such as 25h")
	cmd.Flags().StringVar(&f.kind, "kind", "", "only points of this `KIND`, such as logical")
	return cmd
}

func (a *app) status(ctx context.Context, f statusFlags) error {
	given, err := parseMaxAge(f.maxAge)
	if err != nil {
		return err
	}
	r, err := a.open(ctx)
	if err != nil {
		return err
	}
	promised, err := a.promisedAge(ctx, r, given)
	if err != nil {
		return err
	}
	lanes, err := a.survey(ctx, r, a.filter(f.kind), a.statusPolicy())
	if err != nil {
		return err
	}
	if a.job != nil && a.job.Kind == job.KindFreshness {
		match, err := a.ownSources(ctx)
		if err != nil {
			return err
		}
		lanes = matching(lanes, match)
	}
	if len(lanes) == 0 {
		return a.nothingToTell(ctx, r, f.kind)
	}
	now := a.now()
	list := make([]sourceStatus, len(lanes))
	for i, l := range lanes {
		list[i] = l.status(now, promised)
	}
	if err := a.statusOfWAL(ctx, r, lanes, list, given.IsZero() && !a.jobSaysAge()); err != nil {
		return err
	}
	var none *time.Duration
	if slices.ContainsFunc(lanes, func(l lane) bool { return l.newest == nil }) {
		none = a.ageOfNone(ctx, r, a.statusPolicy(), now)
	}
	a.noteAges(list, none)
	return a.tellStatus(list, promised)
}

func parseMaxAge(text string) (duration.Duration, error) {
	if text == "" {
		return duration.Duration{}, nil
	}
	d, err := duration.Parse(text)
	if err != nil {
		return d, usagef("--max-age: %w", err)
	}
	if d.IsZero() {
		return d, usagef("--max-age %q: nothing is that new: give a length of time such as 25h", text)
	}
	return d, nil
}

// statusPolicy is the name of the policy whose sources are asked for.
func (a *app) statusPolicy() string {
	if name := a.policyName(); !isPolicyFile(name) {
		return name
	}
	return "" // a document says how old, and not whose
}

// jobSaysAge: the job, and not its policy, says how old points may be.
func (a *app) jobSaysAge() bool {
	return a.job != nil && a.job.Freshness != nil && !a.job.Freshness.MaxAge.IsZero()
}

// promisedAge is how old the newest point may be; zero when nothing says it, which
// is a mistake in a job that is there to watch it.
func (a *app) promisedAge(ctx context.Context, r *repo.Repository, given duration.Duration) (duration.Duration, error) {
	if !given.IsZero() {
		return given, nil
	}
	if a.jobSaysAge() {
		return a.job.Freshness.MaxAge, nil
	}
	var promised duration.Duration
	switch name := a.policyName(); {
	case name == "":
	case isPolicyFile(name):
		document, err := readPolicyFile(name)
		if err != nil {
			return promised, err
		}
		promised = document.Objectives.RPO
	default:
		rev, err := r.CurrentPolicy(ctx, name)
		if err != nil {
			return promised, err
		}
		promised = rev.Document.Objectives.RPO
	}
	if promised.IsZero() && a.job != nil && a.job.Kind == job.KindFreshness {
		return promised, usagef("job %q watches the age of backups, but neither it nor its policy says how old they may be: give it max_age, or the policy objectives.rpo", a.job.Name)
	}
	return promised, nil
}

// nothingToTell is an error: no backup at all is not "nothing is too old".
func (a *app) nothingToTell(ctx context.Context, r *repo.Repository, kind string) error {
	if err := a.checkSelection(ctx, r, kind); err != nil {
		return err
	}
	if a.flags.json {
		if err := a.printJSON(statusDocument(nil)); err != nil {
			return err
		}
	}
	of := ""
	if name := a.statusPolicy(); name != "" {
		of = fmt.Sprintf(" under policy %s", name)
	}
	return exitcode.Errorf(exitcode.NotFound, "nothing is backed up%s: there are no recovery points in %s", of, r.URL())
}

func statusDocument(list []sourceStatus) any {
	fresh := len(list) > 0
	for _, s := range list {
		fresh = fresh && s.Fresh
	}
	return map[string]any{"sources": nonNil(list), "fresh": fresh}
}

// tellStatus prints the sources; the error names those that are too old.
func (a *app) tellStatus(list []sourceStatus, promised duration.Duration) error {
	switch {
	case a.flags.json:
		if err := a.printJSON(statusDocument(list)); err != nil {
			return err
		}
	case !a.flags.quiet:
		if err := a.statusTable(list, promised); err != nil {
			return err
		}
	}
	var old []string
	for _, s := range list {
		if !s.Fresh {
			old = append(old, fmt.Sprintf("%s (%s, %s)", printable(s.Source), s.Kind, ageOf(s)))
		}
	}
	if len(old) == 0 {
		return nil
	}
	more := ""
	if n := len(old) - maxNamed; n > 0 {
		old, more = old[:maxNamed], fmt.Sprintf(" and %d more", n)
	}
	limit := ""
	if !promised.IsZero() {
		limit = " than " + promised.String()
	}
	return fmt.Errorf("%w%s: %s%s", errTooOld, limit, strings.Join(old, ", "), more)
}

// errTooOld: a source has no good point that is new enough.
var errTooOld = errors.New("the newest good backup is missing or older")

// maxNamed is how many sources an error names.
const maxNamed = 10

func ageOf(s sourceStatus) string {
	if s.Age == nil {
		return "no good backup"
	}
	if s.WAL != nil {
		return age(time.Duration(*s.Age)*time.Second) + ", WAL " + age(time.Duration(s.WAL.Age)*time.Second)
	}
	return age(time.Duration(*s.Age) * time.Second)
}

func (a *app) statusTable(list []sourceStatus, promised duration.Duration) error {
	limit := "-"
	if !promised.IsZero() {
		limit = promised.String()
	}
	rows := make([][]string, len(list))
	for i, s := range list {
		rows[i] = []string{s.Source, s.Kind, "-", "-", "-", limit, "fresh"}
		if s.Newest != nil {
			rows[i][2], rows[i][3], rows[i][4] = *s.Newest, stamp(*s.Start), ageOf(s)
		}
		switch {
		case s.Newest == nil:
			rows[i][6] = "NO GOOD BACKUP"
		case !s.Fresh:
			rows[i][6] = "TOO OLD"
		case promised.IsZero():
			rows[i][6] = "nothing promised"
		}
	}
	return a.table([]string{"SOURCE", "KIND", "NEWEST", "STARTED", "AGE", "AT MOST", "STATE"}, rows)
}
