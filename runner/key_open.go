package main

import (
	"context"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
)

// openWithKey opens a repository and tells which outer key did it; nil for none.
func (a *app) openWithKey(ctx context.Context, at location.Location) (*repo.Repository, seal.Wrapper, error) {
	store, err := a.openStore(ctx, at, location.OpenOptions{})
	if err != nil {
		return nil, nil, withInitHint(err, at)
	}
	var used seal.Wrapper
	find := a.keySource()
	r, err := repo.Open(ctx, store, repo.OpenOptions{Log: a.log, Sealed: a.keyReference() != "", Key: func(ctx context.Context, suggested []string) (key seal.Wrapper, err error) {
		key, err = find(ctx, suggested)
		used = key
		return key, err
	}})
	if err != nil {
		return nil, nil, withInitHint(notEmpty(ctx, store, err), at)
	}
	return r, used, nil
}

// openWithout opens a repository and looks for no key.
func (a *app) openWithout(ctx context.Context, at location.Location) (*repo.Repository, error) {
	store, err := a.openStore(ctx, at, location.OpenOptions{})
	if err != nil {
		return nil, withInitHint(err, at)
	}
	r, err := repo.Open(ctx, store, repo.OpenOptions{Log: a.log})
	if err != nil {
		return nil, withInitHint(notEmpty(ctx, store, err), at)
	}
	return r, nil
}
