package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
)

func newInit(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "init", Short: "Make a repository in a directory or an existing bucket", Args: cobra.NoArgs,
		Long: `Make a repository, for those who do not use the Terraform provider. With --key
everything that is stored is encrypted; this can not be changed later. A directory is
made where it is missing, a bucket must exist.`,
		Example: "  pgbackup-runner init --repository file:///var/backups/pg --key file:/etc/pgbackup/key",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.init(cmd.Context()) },
	}
}

func (a *app) init(ctx context.Context) error {
	at, err := a.place()
	if err != nil {
		return err
	}
	var key seal.Wrapper
	reference := a.keyReference()
	if reference != "" {
		if key, err = a.secrets().Key(ctx, reference); err != nil {
			return err
		}
	}
	store, err := a.openStore(ctx, at, location.OpenOptions{Create: true})
	if err != nil {
		return err
	}
	r, err := repo.Create(ctx, store, repo.CreateOptions{Key: key, Reference: reference, Now: a.now(), By: by(), Log: a.log})
	if errors.Is(err, repo.ErrExists) {
		return usage(err)
	}
	if err != nil {
		return err
	}
	if a.flags.json {
		return a.printJSON(map[string]any{"repository": at.String(), "id": r.ID(), "encrypted": r.Sealed()})
	}
	sealed := "not encrypted (give --key to encrypt)"
	if r.Sealed() {
		sealed = "encrypted with the key at " + reference
	}
	a.say("Made repository %s, %s.", at, sealed)
	return nil
}
