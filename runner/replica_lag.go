package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// lagTimeout bounds how long a repository that may be down is asked for its newest
// point: the copy is there, and somebody waits for it.
const lagTimeout = 5 * time.Second

// tellLag says where is read from and how far that is behind: by the newest points of
// both, or, where the repository does not answer, by the age of the newest copy.
func (a *app) tellLag(ctx context.Context, primary, at location.Location, r *repo.Repository) error {
	here, err := r.List(ctx, a.filter(""))
	if err != nil {
		return err
	}
	there, err := a.primaryPoints(ctx, primary, r.ID())
	switch {
	case errors.Is(err, errOtherRepository):
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	a.log.Warn(fmt.Sprintf("reading from the replica %s: %s", at, lag(here, there, err == nil, a.now())))
	if err != nil {
		a.log.Debug("the repository itself was asked too", "error", err)
	}
	return nil
}

// errOtherRepository: what is at the place of the replica is no copy of the repository.
var errOtherRepository = errors.New("is not a copy of the repository")

// primaryPoints lists the points of the repository that the copy with an id is of.
func (a *app) primaryPoints(ctx context.Context, primary location.Location, id string) ([]repo.Listed, error) {
	ctx, cancel := context.WithTimeout(ctx, lagTimeout)
	defer cancel()
	store, err := a.openStore(ctx, primary, location.OpenOptions{})
	if err != nil {
		return nil, err
	}
	r, err := repo.Open(ctx, store, repo.OpenOptions{}) // without the key, which lists
	if err != nil {
		return nil, err
	}
	if r.ID() != id {
		return nil, fmt.Errorf("the replica %w: it is of repository %s, and %s is %s", errOtherRepository, id, primary, r.ID())
	}
	return r.List(ctx, a.filter(""))
}

// lag puts into words how far a copy is behind.
func lag(here, there []repo.Listed, answered bool, now time.Time) string {
	newest, any := newestGood(here)
	switch {
	case !answered && !any:
		return "there are no recovery points in it, and the repository itself does not answer"
	case !answered:
		return fmt.Sprintf("the repository itself does not answer. The newest point there is of %s, %s old; what was written later is not in it", stamp(newest.Start), age(now.Sub(newest.Start)))
	}
	lacking := missingIn(here, there)
	latest, _ := newestGood(there)
	switch {
	case len(lacking) == 0 && any:
		return fmt.Sprintf("it has every point that the repository has, the newest of %s", stamp(newest.Start))
	case len(lacking) == 0:
		return "it has no recovery points, as the repository has none"
	case !any:
		return fmt.Sprintf("it has none of the %s of the repository yet", plural(int64(len(lacking)), "point"))
	case latest.Start.After(newest.Start):
		return fmt.Sprintf("its newest point is of %s, that of the repository of %s, %s later; %s", stamp(newest.Start), stamp(latest.Start), age(latest.Start.Sub(newest.Start)), notCopied(lacking))
	}
	return fmt.Sprintf("its newest point is that of the repository, of %s; %s", stamp(newest.Start), notCopied(lacking))
}

// newestGood is the newest point that can be told from its key; lists are newest first.
func newestGood(points []repo.Listed) (repo.Listed, bool) {
	for _, p := range points {
		if p.Verified() {
			return p, true
		}
	}
	return repo.Listed{}, false
}

// missingIn names the points of the repository that a copy does not have.
func missingIn(here, there []repo.Listed) []string {
	has := map[string]bool{}
	for _, p := range here {
		has[p.String()] = true
	}
	var lacking []string
	for _, p := range there {
		if p.Problem == nil && !has[p.String()] {
			lacking = append(lacking, p.String())
		}
	}
	return lacking
}

// notCopied names a few of the points that a copy does not have.
func notCopied(lacking []string) string {
	const few = 3
	text := strings.Join(lacking[:min(few, len(lacking))], ", ")
	if len(lacking) > few {
		text += fmt.Sprintf(" and %d more", len(lacking)-few)
	}
	return text + " not in it"
}

// Where an error says that something in AWS was asked for: an ARN, or the words of
// package secret.
var askedIn = regexp.MustCompile(`arn:aws[a-z-]*:(?:kms|secretsmanager|ssm):([a-z0-9-]+):[^\s()"']+|(?:Secrets|Systems) Manager in ([a-z0-9-]+)`)

// withKeyRegion says how a key is found in the region of the copy, where it was asked
// for in another one that is perhaps as dead as the repository there.
func (a *app) withKeyRegion(err error) error {
	if err == nil || a.copied == nil || a.copied.IsDirectory() || a.copied.Region == "" {
		return err
	}
	found := askedIn.FindStringSubmatch(err.Error())
	if found == nil || found[1]+found[2] == a.copied.Region {
		return err
	}
	region, here := found[1]+found[2], a.copied.Region
	switch name := strings.TrimRight(found[0], ".,;:"); {
	case strings.Contains(name, ":key/mrk-"):
		return fmt.Errorf("%w. The key was asked for in %s; it is a multi-Region key, and its replica opens what it sealed: --key kms:%s", err, region, strings.Replace(name, ":kms:"+region+":", ":kms:"+here+":", 1))
	case strings.Contains(name, ":kms:"):
		return fmt.Errorf("%w. The key was asked for in %s and exists only there: without that region only another key of the repository opens it (--key), such as a multi-Region key that `pgbackup-runner key rotate` added", err, region)
	}
	return fmt.Errorf("%w. The key was asked for in %s: name a copy of it in %s by --key, or set AWS_REGION=%s where the secret is replicated under its name", err, region, here, here)
}
