package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

func newKeyList(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "Show the keys that open the repository", Args: cobra.NoArgs,
		Long: `Show the keys any one of which opens the repository: what each is called, where it is
kept, and who added it when. No key is needed for it, and none is shown.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.listKeys(cmd.Context()) },
	}
}

func (a *app) listKeys(ctx context.Context) error {
	at, err := a.place()
	if err != nil {
		return err
	}
	r, err := a.openWithout(ctx, at)
	if err != nil {
		return err
	}
	keys, err := r.Keys(ctx)
	if err != nil {
		return err
	}
	if a.flags.json {
		return a.printJSON(map[string]any{"keys": append([]repo.StoredKey{}, keys...)})
	}
	if !r.Sealed() {
		a.say("%s is not encrypted: there are no keys.", at)
		return nil
	}
	var rows [][]string
	for _, k := range keys {
		if k.Problem != "" {
			a.warn(k.Problem)
			continue
		}
		rows = append(rows, []string{fmt.Sprint(k.Number), k.Method, k.ID, k.Created.Format(time.DateOnly), k.By, k.Reference})
	}
	if err := a.table([]string{"NUMBER", "METHOD", "KEY", "ADDED", "BY", "REFERENCE"}, rows); err != nil {
		return err
	}
	if len(rows) < len(keys) {
		return errWarned
	}
	return nil
}
