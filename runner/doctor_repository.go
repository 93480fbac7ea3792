package main

import (
	"context"
	"errors"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// probePrefix is where the scratch object of the probe goes: leases live there
// too, and need the same promises of the store.
const probePrefix = "locks/"

// repository checks the store, the repository on it, its key and the policy.
func (d *doctor) repository(ctx context.Context) {
	at, err := d.place()
	if err != nil {
		d.add("repository", bad, "", "%v", err)
		return
	}
	store, err := d.openStore(ctx, at, location.OpenOptions{})
	if err != nil {
		d.add("repository", bad, "", "%v", err)
		return
	}
	r, err := repo.Open(ctx, store, repo.OpenOptions{Key: d.keySource(), Sealed: d.keyReference() != "", Log: d.log})
	switch {
	case errors.Is(err, repo.ErrNoRepository):
		d.add("repository", bad, initHint(ctx, store, err, at), "%v", err)
		return
	case err != nil:
		d.add("repository", bad, "", "%v", err)
		return
	}
	d.add("repository", good, "", "%s, made %s", at, stamp(r.Created()))
	d.store(ctx, store)
	switch {
	case !r.Sealed():
		d.add("key", good, "", "the repository is not encrypted")
	case !r.HasKey():
		why := "no place for it is named"
		if len(d.keyMissed) > 0 {
			why = oneLine(errors.Join(d.keyMissed...).Error())
		}
		d.add("key", bad, "put it back, give --key env:NAME or file:/path, or set "+envKey, "the repository is encrypted and its key was not found: %s", why)
	default:
		d.add("key", good, "", "opens the repository")
	}
	d.policy(ctx, r)
}

// initHint is the command that makes a repository, where that is the right thing.
func initHint(ctx context.Context, store objstore.Store, err error, at location.Location) string {
	if errors.Is(notEmpty(ctx, store, err), errOrphans) {
		return errOrphans.Error()
	}
	return "pgbackup-runner init --repository '" + at.String() + "'"
}

// store writes: readable is not enough.
func (d *doctor) store(ctx context.Context, store objstore.Store) {
	if err := objstore.Probe(ctx, store, probePrefix); err != nil {
		d.add("store", bad, "", "%v", err)
		return
	}
	d.add("store", good, "", "writable, and keeps two writers from overwriting each other")
}

func (d *doctor) policy(ctx context.Context, r *repo.Repository) {
	found, err := d.rules(ctx, r, nil)
	switch {
	case err != nil:
		d.add("policy", bad, "", "%v", err)
	case found.none != "" && found.name == "":
		d.add("policy", good, "", "none is named: nothing is rotated, backups are kept for ever")
	case found.none != "":
		d.add("policy", soso, "", "%s: nothing is rotated", found.none)
	case found.name != "":
		d.add("policy", good, "", "%s, revision %d", found.name, found.revision)
	default:
		d.add("policy", good, "", "%s days", envRetentionDays)
	}
}
