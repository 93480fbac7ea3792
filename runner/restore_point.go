package main

import (
	"context"
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// foreignSuffixes are what files of dumps are usually called. It only decides whether
// a word that is no file here was meant as one.
var foreignSuffixes = []string{".sql", ".dump", ".backup", ".bak", ".gz", ".tgz", ".tar", ".zst", ".enc", ".bz2", ".xz", ".lz4"}

// isForeign tells a path or URL of somebody else's dump from what names a recovery
// point of the repository.
func isForeign(name string) bool {
	if _, err := repo.ParseID(path.Base(name)); err == nil && !strings.Contains(name, "://") {
		return false // an id, or source/kind/id
	}
	switch {
	case strings.Contains(name, "://"), strings.HasPrefix(name, "/"), strings.HasPrefix(name, "./"), strings.HasPrefix(name, "../"), strings.HasPrefix(name, "~/"):
		return true
	case name == "latest" || looksLikeTime.MatchString(name) || looksLikeID.MatchString(name):
		return false
	case slices.ContainsFunc(foreignSuffixes, func(s string) bool { return strings.HasSuffix(strings.ToLower(name), s) }):
		return true
	}
	_, err := os.Stat(name)
	return err == nil
}

var (
	looksLikeTime = regexp.MustCompile(`^\d{4}-\d{2}`)
	looksLikeID   = regexp.MustCompile(`^\d{8}T`) // the beginning of an id will do
)

// moments are the ways to write a time, from the most exact to a day, which is its
// first moment. PostgreSQL's own way is among them, as its log and now() have it.
var moments = []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05Z07", "2006-01-02T15:04Z07", "2006-01-02T15:04:05 MST", "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"}

// parseMoment reads a time: UTC unless it says otherwise.
func parseMoment(text string) (time.Time, error) {
	for _, layout := range moments {
		t, err := time.Parse(layout, strings.Replace(text, " ", "T", 1))
		// Of the short names of zones only this one means the same everywhere.
		if name, _ := t.Zone(); err == nil && (!strings.HasSuffix(layout, "MST") || name == "UTC" || name == "GMT") {
			return t.UTC(), nil
		}
	}
	return time.Time{}, usagef("%q is no time: give 2026-03-01, 2026-03-01T02:30:00 (both UTC) or 2026-03-01T02:30:00+01:00", text)
}

// restorePoint finds what is to be restored: latest, an id or the beginning of one,
// or the newest before a time.
func (a *app) restorePoint(ctx context.Context, r *repo.Repository, name, kind string) (repo.Listed, error) {
	if !looksLikeTime.MatchString(name) {
		return a.find(ctx, r, name, kind)
	}
	moment, err := parseMoment(name)
	if err != nil {
		return repo.Listed{}, err
	}
	point, err := a.newestAt(ctx, r, moment, kind)
	if err == nil {
		a.say("Chose %s, which began %s: the newest verified one at or before %s.", point, stamp(point.Start), stamp(moment))
	}
	return point, err
}

// newestAt is the newest verified point that began at a moment or before.
func (a *app) newestAt(ctx context.Context, r *repo.Repository, moment time.Time, kind string) (repo.Listed, error) {
	f := a.filter(kind)
	var err error
	if f.Source == "" {
		if f.Source, err = a.latestSource(ctx, r, kind); err != nil {
			return repo.Listed{}, err
		}
	}
	if f.Kind == "" {
		if f.Kind, err = a.latestKind(ctx, r, f); err != nil {
			return repo.Listed{}, err
		}
	}
	points, err := r.List(ctx, f)
	if err != nil {
		return repo.Listed{}, err
	}
	var sources []string
	oldest := time.Time{}
	for _, p := range points {
		if !slices.Contains(sources, p.Source) {
			sources = append(sources, p.Source)
		}
		if p.Verified() {
			oldest = p.Start
		}
	}
	if len(sources) > 1 {
		slices.Sort(sources)
		return repo.Listed{}, fmt.Errorf("the newest at %s is %w: there are %d sources (%s); say which with --source", stamp(moment), repo.ErrAmbiguous, len(sources), strings.Join(sources, ", "))
	}
	for i, p := range points {
		if !p.Verified() || p.Start.After(moment) {
			continue
		}
		if err := r.LoadManifests(ctx, points[i:i+1]); err != nil {
			return repo.Listed{}, err
		}
		if points[i].Problem == nil {
			return points[i], nil
		}
		a.warn(fmt.Sprintf("%s can not be read, taking the one before it: %v", p, points[i].Problem))
	}
	if len(points) == 0 {
		if err := a.checkSelection(ctx, r, kind); err != nil {
			return repo.Listed{}, err
		}
	}
	hint := "; `pgbackup-runner list` shows what there is"
	if !oldest.IsZero() {
		hint = ": the oldest began " + stamp(oldest)
	}
	return repo.Listed{}, exitcode.Errorf(exitcode.NotFound, "no verified recovery point in %s began at %s or before%s", r.URL(), stamp(moment), hint)
}

// restoreTarget reads --to-database; "" is no target.
func (a *app) restoreTarget(ctx context.Context, to string) (postgres.Target, error) {
	if to == "" {
		return postgres.Target{}, nil
	}
	if strings.Contains(to, "://") || strings.Contains(to, "=") {
		t, err := postgres.ParseTarget(to)
		if err != nil {
			return t, usagef("--to-database: %w", err)
		}
		if hasPassword(to) {
			a.warn("the password in --to-database can be read by every user of this machine while the program runs; put it into PGPASSWORD or ~/.pgpass")
		}
		return t, nil
	}
	s, err := a.server(ctx)
	if err != nil {
		return postgres.Target{}, err
	}
	return s.WithDatabase(to), nil
}

// roleMap reads --map-role.
func (f restoreFlags) roleMap() (map[string]string, error) {
	roles := map[string]string{}
	for _, pair := range f.roles {
		from, to, ok := strings.Cut(pair, "=")
		if !ok || from == "" || to == "" {
			return nil, usagef("--map-role %q: give OLD=NEW", pair)
		}
		if other, twice := roles[from]; twice && other != to {
			return nil, usagef("--map-role: role %s can not become both %s and %s", from, other, to)
		}
		roles[from] = to
	}
	return roles, nil
}
