package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/cost"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/parallel"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/storageclass"
)

// thawFlags say what to do about a recovery point that is in an archive class: the
// zero value is to say what it would take, and to do nothing.
type thawFlags struct {
	ask  bool
	tier string // as given: "bulk"
	days int
	wait string // "" is as long as the tier takes
}

func (t *thawFlags) register(set *pflag.FlagSet) {
	set.BoolVar(&t.ask, "thaw", false, "bring a point that is archived back first, which takes hours and costs money; without this flag that is only told")
	set.StringVar(&t.tier, "thaw-tier", "", "with --thaw: how `FAST`: standard (default), bulk or, of GLACIER, expedited")
	set.IntVar(&t.days, "thaw-days", repo.DefaultThawDays, "with --thaw: for how many days what was brought back can be read")
	set.StringVar(&t.wait, "thaw-wait", "", "with --thaw: how long to wait for it, such as 6h; 0 asks and does not wait (default as long as the tier takes)")
}

// thawPlan is what thawFlags mean.
type thawPlan struct {
	ask    bool
	tier   string // as S3 names it
	days   int
	wait   time.Duration
	waited bool // wait was given
}

func (t thawFlags) plan() (thawPlan, error) {
	p := thawPlan{ask: t.ask, days: cmp.Or(t.days, repo.DefaultThawDays)}
	var err error
	if p.tier, err = storageclass.ParseTier(t.tier); err != nil {
		return p, usagef("--thaw-tier: %w", err)
	}
	if p.days < 1 || p.days > 365 {
		return p, usagef("--thaw-days %d: give a number from 1 to 365", t.days)
	}
	if t.wait != "" {
		p.waited = true
		if t.wait != "0" {
			d, err := duration.Parse(t.wait)
			if err != nil {
				return p, usagef("--thaw-wait: %w", err)
			}
			p.wait = d.Approx()
		}
	}
	if !t.ask && (t.tier != "" || p.waited || p.days != repo.DefaultThawDays) {
		return p, usagef("--thaw-tier, --thaw-days and --thaw-wait say how to bring an archived point back: give --thaw too")
	}
	return p, nil
}

// thawed is nil when a point can be read now. Of one that is archived it says what it
// takes to bring it back; with --thaw it asks for that, and waits.
func (a *app) thawed(ctx context.Context, r *repo.Repository, ref repo.Ref, t thawFlags) error {
	plan, err := t.plan()
	if err != nil {
		return err
	}
	points, err := a.archived(ctx, r, []repo.Ref{ref}, false)
	if err != nil {
		return reading(err)
	}
	return a.pointsThawed(ctx, r, points, plan)
}

// allThawed is thawed for several points that are to be verified: all are asked for
// before any is waited for. Those of which a part is gone are left to the verification.
func (a *app) allThawed(ctx context.Context, r *repo.Repository, refs []repo.Ref, t thawFlags) error {
	plan, err := t.plan()
	if err != nil {
		return err
	}
	points, err := a.archived(ctx, r, refs, true)
	if err != nil {
		return err
	}
	return a.pointsThawed(ctx, r, points, plan)
}

func (a *app) pointsThawed(ctx context.Context, r *repo.Repository, points []archivedPoint, plan thawPlan) error {
	if len(points) == 0 {
		return nil
	}
	frost := thaw{app: a, repo: r, points: points, plan: plan, begun: a.now()}
	if !plan.ask {
		return frost.told()
	}
	return frost.run(ctx)
}

// archivedPoint is a point of which something is in an archive class.
type archivedPoint struct {
	manifest *repo.Manifest
	state    repo.Archived
}

// lookers is how many points are looked at at once; each asks for its objects with
// several requests at once.
const lookers = 4

// archived finds those of the points that can not be read at once. Where the store has
// no archives nothing is asked. pass leaves out points that are damaged or gone, which
// are errors otherwise.
func (a *app) archived(ctx context.Context, r *repo.Repository, refs []repo.Ref, pass bool) ([]archivedPoint, error) {
	if _, can := r.Store().(objstore.Thawer); !can {
		return nil, nil
	}
	found := make([]archivedPoint, len(refs))
	err := parallel.Each(ctx, lookers, len(refs), func(ctx context.Context, i int) (err error) {
		if found[i].manifest, err = r.Manifest(ctx, refs[i]); err == nil {
			found[i].state, err = r.Archived(ctx, found[i].manifest)
		}
		if pass && (codeOf(reading(err)) == exitcode.BadBackup || isAny(err, repo.ErrNotFound, repo.ErrNotCopied, repo.ErrNewerFormat)) {
			return nil
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var archived []archivedPoint
	for _, p := range found {
		if !p.state.Readable() {
			archived = append(archived, p)
		}
	}
	return archived, nil
}

// thaw is bringing points back.
type thaw struct {
	app    *app
	repo   *repo.Repository
	points []archivedPoint
	plan   thawPlan
	begun  time.Time
}

// sum is the state of all points together.
func (t thaw) sum() (s repo.Archived) {
	for _, p := range t.points {
		s.Objects += p.state.Objects
		s.Bytes += p.state.Bytes
		s.Thawing += p.state.Thawing
		s.Thawed += p.state.Thawed
		s.Frozen += p.state.Frozen
		s.FrozenBytes += p.state.FrozenBytes
		s.ThawedBytes += p.state.ThawedBytes
		s.Class = storageclass.Lower(s.Class, p.state.Class)
	}
	return s
}

// told is the error for points that are archived and were not asked for: class, tier,
// hours, cost, and the command.
func (t thaw) told() error {
	sum := t.sum()
	what := fmt.Sprintf("%s, %s", plural(int64(sum.Objects), "object"), size(sum.Bytes))
	if sum.Frozen == 0 {
		return fmt.Errorf("%s: %w in %s (%s), asked for and on the way, %d there: `%s` waits for it",
			t.names(), repo.ErrArchived, sum.Class, what, sum.Thawed, t.command())
	}
	return fmt.Errorf("%s: %w in %s (%s), to be brought back before it can be read: %s. To ask for that and wait: `%s`",
		t.names(), repo.ErrArchived, sum.Class, what, t.ways(sum), t.command())
}

// names are the points, few enough for a line.
func (t thaw) names() string {
	var names []string
	for i, p := range t.points {
		if i == 3 && len(t.points) > 4 {
			names = append(names, fmt.Sprintf("%d more", len(t.points)-i))
			break
		}
		names = append(names, p.manifest.Ref().String())
	}
	return strings.Join(names, ", ")
}

// ways says of every tier how long it takes, what it costs, and how it is asked for.
func (t thaw) ways(sum repo.Archived) string {
	class, err := storageclass.Parse(sum.Class)
	if err != nil {
		return "how long that takes is not known"
	}
	prices := t.prices()
	var ways []string
	for _, r := range class.Retrievals() {
		way := fmt.Sprintf("%s takes %s", strings.ToLower(r.Tier), r)
		if !prices.IsZero() {
			way += ", costs " + usd(prices.Thaw(sum.Class, r.Tier, sum.FrozenBytes, sum.Frozen, t.plan.days))
		}
		if r.Tier != storageclass.TierStandard {
			way += " (--thaw-tier " + strings.ToLower(r.Tier) + ")"
		}
		ways = append(ways, way)
	}
	text := strings.Join(ways, "; ")
	if prices.IsZero() {
		return text
	}
	return fmt.Sprintf("%s [estimates by %s, with the copies for %s, without transfer]", text, prices, plural(int64(t.plan.days), "day"))
}

// prices are those of the repository's region; the zero table where none apply.
func (t thaw) prices() cost.Table {
	at, err := t.app.place()
	if err != nil {
		return cost.Table{}
	}
	prices, err := regionPrices(at)
	if err != nil {
		return cost.Table{}
	}
	return prices
}

// command is what to type to go on: of the very point, which "latest" may not mean
// tomorrow.
func (t thaw) command() string {
	replace := map[string]string{}
	if len(t.points) == 1 {
		replace["latest"] = t.points[0].manifest.ID
	}
	return t.app.again(replace, "--thaw")
}

// run asks for what nobody has asked for yet, and waits for all of it.
func (t thaw) run(ctx context.Context) error {
	sum := t.sum()
	class, err := storageclass.Parse(sum.Class)
	var way storageclass.Retrieval
	if err == nil {
		way, err = class.Retrieval(t.plan.tier)
	}
	if err != nil {
		return usagef("--thaw-tier: %w", err)
	}
	if sum.Frozen > 0 {
		t.app.log.Info("asking for what is archived", "points", t.names(), "class", sum.Class, "tier", strings.ToLower(way.Tier), "takes", way.String(),
			"objects", sum.Frozen, "bytes", sum.FrozenBytes, "about_usd", t.prices().Thaw(sum.Class, way.Tier, sum.FrozenBytes, sum.Frozen, t.plan.days))
	}
	for _, p := range t.points {
		// Also where all is on its way: a copy that goes away soon is asked for anew.
		if err := t.repo.Thaw(ctx, p.manifest, repo.ThawOptions{Tier: way.Tier, Days: t.plan.days}); err != nil {
			return reading(err)
		}
	}
	limit := way.Within
	if t.plan.waited {
		limit = t.plan.wait
	}
	return t.await(ctx, way, limit)
}

// Pauses between two looks at what is on its way: short at first, for what is quick.
const (
	firstThawPause = time.Second
	maxThawPause   = 5 * time.Minute
)

// await looks again and again until all can be read.
func (t thaw) await(ctx context.Context, way storageclass.Retrieval, limit time.Duration) error {
	progress := &thawProgress{}
	progress.set(t.sum())
	defer t.app.screen.Draw(progress.status)()
	for pause := firstThawPause; ; pause = min(2*pause, maxThawPause) {
		if err := t.look(ctx); err != nil {
			return t.interrupted(ctx, err)
		}
		sum := t.sum()
		progress.set(sum)
		if sum.Readable() {
			t.app.log.Info("what was archived can be read", "points", t.names(), "for_days", t.plan.days)
			return nil
		}
		left := limit - t.app.now().Sub(t.begun)
		if left <= 0 {
			return t.unfinished(way, sum)
		}
		t.app.log.Debug("waiting for what is archived", "objects", sum.Objects, "readable", sum.Thawed)
		timer := time.NewTimer(min(pause, left))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return t.interrupted(ctx, context.Cause(ctx))
		}
	}
}

// look asks how far the points are that are not there yet.
func (t thaw) look(ctx context.Context) error {
	for i, p := range t.points {
		if p.state.Readable() {
			continue
		}
		state, err := t.repo.Archived(ctx, p.manifest)
		if err != nil {
			return err
		}
		t.points[i].state = state
	}
	return nil
}

// unfinished ends the waiting: what was asked for comes all the same.
func (t thaw) unfinished(way storageclass.Retrieval, sum repo.Archived) error {
	after := "not waited for"
	if waited := t.app.now().Sub(t.begun); waited >= time.Second {
		after = "not there after " + took(waited)
	}
	return fmt.Errorf("%s: %w: asked for, and %s: %d of %d objects can be read. It takes %s by the %s tier; `%s` finds the request and goes on",
		t.names(), repo.ErrArchived, after, sum.Thawed, sum.Objects, way, strings.ToLower(way.Tier), t.command())
}

// interrupted says how to go on after somebody, or the network, ended the waiting.
func (t thaw) interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, objstore.ErrTransient) {
		t.app.log.Warn("what was asked for is still on its way: `" + t.command() + "` finds the request and goes on")
	}
	return reading(err)
}
