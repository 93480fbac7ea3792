package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// usedDays is how far back points tell which key a job uses. Even a monthly job has
// made one since.
const usedDays = 40

// refuseRunning looks which jobs used the key that is to go when they last ran. Job
// files on hosts and in clusters are seen by nobody but their runs.
func (a *app) refuseRunning(ctx context.Context, r *repo.Repository, key, to string) error {
	users, err := r.KeyUsers(ctx, key, a.now().AddDate(0, 0, -usedDays))
	if err != nil || len(users) == 0 {
		return err
	}
	more := ""
	if n := len(users) - maxNamed; n > 0 {
		users, more = users[:maxNamed], fmt.Sprintf(" and %d more", n)
	}
	names := make([]string, len(users))
	for i, u := range users {
		host := ""
		if u.Host != "" {
			host = " on " + u.Host
		}
		names[i] = fmt.Sprintf("%s%s (%s, %s)", u.Job, host, printable(u.Source), stamp(u.Last))
	}
	return usagef("the key is not taken away: these jobs used it when they last ran and may make no more backups without it: %s%s; give each key_ref %s, let it run once, and try again (or --even-if-used, when they have the new key or are no more)",
		strings.Join(names, ", "), more, to)
}
