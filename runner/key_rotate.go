package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist/usemark"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
)

// keyRotation is what `key rotate` is asked for.
type keyRotation struct {
	from, to string // references
	retire   bool
	anyway   bool // retire although jobs still use the old key
}

func newKeyRotate(a *app) *cobra.Command {
	var asked keyRotation
	cmd := &cobra.Command{
		Use: "rotate --to REFERENCE", Short: "Let another key open the repository, and take the old one away", Args: cobra.NoArgs,
		Long: `Let another key open the repository. Both keys do from then on: change key_ref of the
pgbackup_repository resource, apply, and when everything runs with the new key take
the old one away with --retire. It can be stopped anywhere and repeated; at no moment
is there less than one key that opens the repository.

No backup is written again. Whoever had the old key may have read with it the key
that all backups are sealed with: if a key was stolen, make a new repository with
a new key, take new backups there, and destroy this one when they are enough.`,
		Example: "  pgbackup-runner key rotate --repository s3://acme-pg-backups/prod --from file:/etc/pgbackup/key --to kms:arn:aws:kms:…\n" +
			"  pgbackup-runner key rotate --repository s3://acme-pg-backups/prod --from file:/etc/pgbackup/key --to kms:arn:aws:kms:… --retire",
		RunE: func(cmd *cobra.Command, _ []string) error { return a.rotateKey(cmd.Context(), asked) },
	}
	cmd.Flags().StringVar(&asked.to, "to", "", "`REFERENCE` of the new key")
	cmd.Flags().StringVar(&asked.from, "from", "", "`REFERENCE` of the present key (default --key, or what the repository names)")
	cmd.Flags().BoolVar(&asked.retire, "retire", false, "take the present key away once the new one was seen to open the repository")
	cmd.Flags().BoolVar(&asked.anyway, "even-if-used", false, "with --retire: also when jobs still name the present key, or used it when they last ran")
	return cmd
}

func (a *app) rotateKey(ctx context.Context, asked keyRotation) error {
	if asked.to == "" {
		return usagef("no new key is named: give --to secretsmanager:NAME, kms:ARN, ssm:NAME, file:PATH or env:NAME")
	}
	at, err := a.place()
	if err != nil {
		return err
	}
	next, err := a.secrets().Key(ctx, asked.to)
	if err != nil {
		return err
	}
	if asked.from != "" {
		a.flags.key = asked.from
	}
	r, present, err := a.openWithKey(ctx, at)
	if errors.Is(err, seal.ErrWrongKey) {
		return a.rotatedAlready(ctx, at, asked, err)
	}
	if err != nil {
		return err
	}
	if !r.Sealed() {
		return usagef("%s is not encrypted, and can not become so: make another repository with `pgbackup-runner init --key %s`", at, asked.to)
	}
	if present == nil || !r.HasKey() {
		return a.withKeyTrail(fmt.Errorf("rotate the key of %s: %w; give --from", at, repo.ErrNoKey))
	}
	if present.Method() == next.Method() && present.KeyID() == next.KeyID() {
		return usagef("--to %s is the key that opens the repository at present (%s): there is nothing to rotate; with the same reference, name the old key with --from", asked.to, next.KeyID())
	}
	keys, err := r.Keys(ctx)
	if err != nil {
		return err
	}
	old := slices.DeleteFunc(keys, func(k repo.StoredKey) bool { return k.Method != present.Method() || k.ID != present.KeyID() })
	if asked.retire && !asked.anyway {
		if err := a.refuseUsed(ctx, r, old, asked); err != nil {
			return err
		}
		if err := a.refuseRunning(ctx, r, present.KeyID(), asked.to); err != nil {
			return err
		}
	}
	above := 0
	if asked.retire {
		for _, k := range old {
			above = max(above, k.Number)
		}
	}
	key, added, err := r.EnsureKey(ctx, next, asked.to, above, a.now(), by())
	if err != nil {
		return err
	}
	var retired []int
	if asked.retire {
		if retired, err = a.retireKeys(ctx, r, old, asked.to); err != nil {
			return err
		}
	}
	return a.tellRotation(at, asked, key, added, present, retired)
}

// retireKeys takes keys away after the new one was read once more from where it is
// kept: a key that is only in the memory of this program is no key.
func (a *app) retireKeys(ctx context.Context, r *repo.Repository, old []repo.StoredKey, to string) ([]int, error) {
	next, err := a.secrets().Key(ctx, to)
	if err != nil {
		return nil, fmt.Errorf("the new key was added, and the old one stays, for the new one could not be read again: %w", err)
	}
	var retired []int
	for _, k := range old {
		if err := r.RetireKey(ctx, k.Number, next); err != nil {
			return retired, err
		}
		retired = append(retired, k.Number)
	}
	return retired, nil
}

// rotatedAlready is for a repetition after the old key was taken away: then the old
// one opens nothing any more, and the new one does.
func (a *app) rotatedAlready(ctx context.Context, at location.Location, asked keyRotation, wrong error) error {
	a.flags.key = asked.to
	r, _, err := a.openWithKey(ctx, at)
	if err != nil || !r.HasKey() {
		return wrong
	}
	if a.flags.json {
		return a.printJSON(map[string]any{"repository": at.String(), "added": false, "retired": []int{}})
	}
	a.say("The key at %s opens %s already, and the one given with --from does not: there is nothing left to do.", asked.to, at)
	return nil
}

func (a *app) tellRotation(at location.Location, asked keyRotation, key repo.StoredKey, added bool, present seal.Wrapper, retired []int) error {
	if a.flags.json {
		return a.printJSON(map[string]any{"repository": at.String(), "key": key, "added": added, "retired": append([]int{}, retired...)})
	}
	if strings.HasPrefix(asked.to, "env:") {
		a.warn(asked.to + " is a variable of this shell: keep the key where it survives it, too")
	}
	switch {
	case asked.retire:
		a.say("%s opens with the key at %s (%s); %s does not open it any more.", at, asked.to, key.ID, present.KeyID())
	case added:
		a.say("%s opens with the key at %s (%s) too. Set key_ref to it and apply; when all runs use it, take the old one (%s) away with --retire.", at, asked.to, key.ID, present.KeyID())
	default:
		a.say("%s opened with the key at %s (%s) already. Take the old one (%s) away with --retire.", at, asked.to, key.ID, present.KeyID())
	}
	return nil
}

// refuseUsed looks whether jobs in the repository still name the key that is to go:
// without it, from tonight on, they would make no more backups.
func (a *app) refuseUsed(ctx context.Context, r *repo.Repository, old []repo.StoredKey, asked keyRotation) error {
	references := map[string]bool{asked.from: true}
	for _, k := range old {
		references[k.Reference] = true
	}
	delete(references, "")
	delete(references, asked.to) // the secret behind the same reference was changed
	var users []string
	ended, err := endedJobs(ctx, r)
	if err != nil {
		return err
	}
	for info, err := range r.Store().List(ctx, "jobs/") {
		if err != nil {
			return fmt.Errorf("look for jobs that use the key: %w", err)
		}
		if ended[info.Key] {
			continue
		}
		body, _, err := r.Store().Get(ctx, info.Key, objstore.GetOptions{})
		if err != nil {
			continue // replaced at this moment
		}
		data, err := io.ReadAll(io.LimitReader(body, maxJobFile))
		_ = body.Close()
		if j, parseErr := job.Parse(data); err == nil && parseErr == nil && references[j.KeyRef.String()] {
			users = append(users, fmt.Sprintf("%s (%s)", j.Name, j.KeyRef))
		}
	}
	if len(users) == 0 {
		return nil
	}
	slices.Sort(users)
	users = slices.Compact(users)
	return usagef("the key is not taken away: these jobs still name it and would make no more backups: %s; set key_ref of the repository to %s, apply, and try again (or --even-if-used)", strings.Join(users, ", "), asked.to)
}

// endedJobs gives the keys of job files that only runs of ended deployments may
// still ask for.
func endedJobs(ctx context.Context, r *repo.Repository) (map[string]bool, error) {
	ended := map[string]bool{}
	for info, err := range r.Store().List(ctx, usemark.Folder) {
		if err != nil {
			return nil, fmt.Errorf("look for jobs that use the key: %w", err)
		}
		if u, ok := usemark.ParseUse(info.Key); ok {
			key := "jobs/" + u.Job + "/" + u.File + ".json"
			before, seen := ended[key]
			ended[key] = u.Ended() && (before || !seen)
		}
	}
	return ended, nil
}
