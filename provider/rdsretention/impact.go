package rdsretention

import (
	"fmt"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
)

// effect is one consequence of a change. Those that lose or interrupt something
// are warned of; all are shown.
type effect struct {
	text  string
	warns bool
}

// impact tells what a change of settings does. It depends on nothing else, so that
// the plan and the apply come to the same.
func impact(t rds.Target, from, to rds.Settings) (effects []effect) {
	add := func(warns bool, format string, args ...any) {
		effects = append(effects, effect{fmt.Sprintf(format, args...), warns})
	}
	interrupted := "the instance is interrupted while RDS switches them (AWS's documentation disagrees for how long: seconds to minutes)"
	switch a, b := from.RetentionDays, to.RetentionDays; {
	case a == b:
	case b == 0:
		add(true, "all automated backups of %s are deleted at once and point-in-time recovery, which reached back %s, ends; %s; manual snapshots stay", t.ID, days(a), interrupted)
	case a == 0:
		add(true, "automated backups of %s are switched on: %s; point-in-time recovery begins with the first backup and reaches back %s once that long has passed", t.ID, interrupted, days(b))
	case b < a:
		add(true, "point-in-time recovery of %s reaches back %s instead of %s: RDS deletes the automated backups before that at once, and raising it again does not bring them back", t.ID, days(b), days(a))
	default:
		add(false, "point-in-time recovery of %s reaches back %s instead of %s, once %s more have passed: nothing that is gone comes back", t.ID, days(b), days(a), days(b-a))
	}
	if from.Window != to.Window && from.Window != "" {
		add(false, "the daily backup of %s is taken at %s UTC instead of %s", t.ID, to.Window, from.Window)
	}
	if from.DeletionProtection != to.DeletionProtection {
		if to.DeletionProtection {
			add(false, "RDS refuses to delete %s from now on", t.ID)
		} else {
			add(true, "RDS no longer refuses to delete %s; the automated backups of a deleted database go with it unless whoever deletes it says otherwise", t.ID)
		}
	}
	if from.CopyTags != to.CopyTags {
		verb := "no longer get"
		if to.CopyTags {
			verb = "get"
		}
		add(false, "new snapshots of %s %s its tags", t.ID, verb)
	}
	return effects
}

// replicaImpact tells what a change of the copy in another region does.
func replicaImpact(t rds.Target, from, to *replicaModel) []effect {
	switch {
	case from == nil && to == nil, from != nil && to != nil && *from == *to:
		return nil
	case from == nil:
		return []effect{{fmt.Sprintf("automated backups of %s are copied to %s from now on: what is older is not copied", t.ID, to.Region.ValueString()), false}}
	case to == nil:
		return []effect{{fmt.Sprintf("automated backups of %s are no longer copied to %s: the copies there age away, and without %s nothing can be restored from them after that", t.ID, from.Region.ValueString(), t.ID), true}}
	}
	return []effect{{fmt.Sprintf("the copying of automated backups of %s to %s ends and begins anew to %s: between the two nothing is copied", t.ID, from.Region.ValueString(), to.Region.ValueString()), true}}
}

func days(n int) string {
	if n == 1 {
		return "1 day"
	}
	return fmt.Sprintf("%d days", n)
}

func texts(effects []effect) []string {
	all := make([]string, len(effects))
	for i, e := range effects {
		all[i] = e.text
	}
	return all
}
