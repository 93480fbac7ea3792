package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/approval"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore/hook"
)

// restoreAct is a restore that makes or overwrites a database, with what is around
// it: the approval, the hooks, and the audit log.
type restoreAct struct {
	what        string           // of the audit log: restore, restore_foreign
	of          string           // the recovery point or the file
	to          string           // user@host:port/database
	log         *repo.Repository // where the audit log is; nil without a repository
	environment string           // of the policies; see environment
	approval    string           // as given
	hooks       hookFlags
	told        map[string]string // PGBACKUP_… variables of the hooks, without that prefix
	detail      map[string]string // of the audit log
}

// acted is how a restore ended, for the after-hook and the audit log.
type acted struct {
	Old      string // name under which a replaced database stays
	Warnings []string
}

// auditTime bounds how long the audit log is waited for, each time it is written.
const auditTime = 30 * time.Second

// restoring does a restore: the approval is asked for, its beginning is written down,
// examine looks at everything that can be known, the before-hook runs, do restores, the
// after-hook runs, and the end is written down. Warnings of the way are returned beside
// those of do.
func (a *app) restoring(ctx context.Context, act restoreAct, examine func(context.Context) error, do func(context.Context) (acted, error)) (acted, error) {
	limit, err := act.hooks.limit()
	if err != nil {
		return acted{}, err
	}
	if err := approval.Check(act.approval, act.environment, a.now()); err != nil {
		return acted{}, fmt.Errorf("restore into %s: %w", act.to, err)
	}
	// With an application scaled down is no time to find out that a role is missing.
	if act.hooks.before != "" && examine != nil {
		if err := examine(ctx); err != nil {
			return acted{}, err
		}
	}
	var warnings []string
	begun := a.now()
	entry := repo.AuditEntry{What: act.what, Of: act.of, To: act.to, Outcome: "begun", Approval: act.approval, By: by(), Runner: runnerVersion(), Detail: act.detail}
	entry.Begun, warnings = a.audit(ctx, act, entry, warnings)

	done, err := a.hooked(ctx, act, limit, begun, do)
	warnings = append(warnings, done.Warnings...)

	entry.Outcome = "done"
	if err != nil {
		entry.Outcome, entry.Error = "failed", oneLine(err.Error())
	}
	if done.Old != "" {
		entry.Detail = withDetail(entry.Detail, "old_database", done.Old)
	}
	_, done.Warnings = a.audit(ctx, act, entry, warnings)
	return done, err
}

// hooked runs the hooks around a restore. The after-hook runs whenever the before-hook
// did its work, also after a failure or an interruption: what was scaled down has to
// come up again, and the old database serves.
func (a *app) hooked(ctx context.Context, act restoreAct, limit time.Duration, begun time.Time, do func(context.Context) (acted, error)) (acted, error) {
	run := func(ctx context.Context, name, command string, more map[string]string) error {
		if command == "" {
			return nil
		}
		env := map[string]string{"PGBACKUP_HOOK": name, "PGBACKUP_ENVIRONMENT": act.environment, "PGBACKUP_APPROVAL": act.approval}
		for k, v := range act.told {
			env["PGBACKUP_"+k] = v
		}
		for k, v := range more {
			env["PGBACKUP_"+k] = v
		}
		a.log.Info("running a hook", "hook", name, "command", command, "at_most", limit.String())
		return hook.Run(ctx, hook.Hook{Name: name, Command: command, Limit: limit, Env: env, Hide: a.secretVariables(), Log: a.log})
	}
	if err := run(ctx, "before", act.hooks.before, nil); err != nil {
		return acted{}, fmt.Errorf("%w; nothing was restored, and the after hook does not run", err)
	}
	done, err := do(ctx)
	more := map[string]string{"OUTCOME": "done", "OLD_DATABASE": done.Old, "SECONDS": strconv.FormatFloat(a.now().Sub(begun).Seconds(), 'f', 1, 64)}
	if err != nil {
		more["OUTCOME"], more["ERROR"] = "failed", oneLine(err.Error())
	}
	if failed := run(context.WithoutCancel(ctx), "after", act.hooks.after, more); failed != nil {
		warning := "the restore is done, but " + failed.Error()
		if err != nil {
			warning = "the restore failed, and so did the " + failed.Error()
		}
		a.warn(warning)
		done.Warnings = append(done.Warnings, warning)
	}
	return done, err
}

// audit writes an entry of the audit log and returns its id. A log that can not be
// written does not stop a restore: at three in the morning the repository may be
// readable and nothing else, or a replica, and the database is what matters. Then the
// log of this run says the same, loudly where production is concerned.
func (a *app) audit(ctx context.Context, act restoreAct, e repo.AuditEntry, warnings []string) (string, []string) {
	err := errNoAudit
	if act.log != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditTime)
		defer cancel()
		e.At = a.now()
		var id string
		if id, err = act.log.PutAudit(ctx, e); err == nil {
			return id, warnings
		}
	}
	a.log.Info("not in the audit log of the repository", "what", e.What, "of", e.Of, "to", e.To, "outcome", e.Outcome, "by", e.By, "approval", e.Approval, "because", err)
	if approval.Needed(act.environment) && act.log != nil {
		warning := fmt.Sprintf("the audit log could not be written: %s of %s to %s by %s with approval %s, %s: %v; keep the log of this run", e.What, e.Of, e.To, e.By, e.Approval, e.Outcome, err)
		a.warn(warning)
		warnings = append(warnings, warning)
	}
	return "", warnings
}

// writtenDown is where a restore from r is written down: in the repository itself, also
// when its copy is read, which is never changed. nil where the repository does not
// answer, which is why the copy is read.
func (a *app) writtenDown(ctx context.Context, r *repo.Repository, environment string) *repo.Repository {
	if a.copied == nil {
		return r
	}
	ctx, cancel := context.WithTimeout(ctx, auditTime)
	defer cancel()
	at, err := a.placeIn("")
	var primary *repo.Repository
	if err == nil {
		primary, err = a.openAt(ctx, at, false)
	}
	switch {
	case err == nil:
		return primary
	case approval.Needed(environment):
		a.warn("this restore will not be in the audit log, for the repository itself does not answer; keep the log of this run: " + err.Error())
	default:
		a.log.Warn("this restore will not be in the audit log, for the repository itself does not answer", "error", err)
	}
	return nil
}

var errNoAudit = errors.New("there is no repository")

func withDetail(detail map[string]string, name, value string) map[string]string {
	more := map[string]string{name: value}
	for k, v := range detail {
		more[k] = v
	}
	return more
}

// environment is that of the policies a restore is under: of the point, and of the
// command line or the job. One of them being production is enough. A policy that the
// repository should know and that can not be read counts as production: then the
// approval costs a flag, and the other mistake a database.
func (a *app) environment(ctx context.Context, r *repo.Repository, m *repo.Manifest) (string, error) {
	type named struct {
		name string
		must bool // it was in this repository
	}
	policies := []named{{a.policyName(), true}}
	if m != nil {
		policies = append(policies, named{m.Policy, m.PolicyRevision > 0})
	}
	environment := ""
	for i, p := range policies {
		if p.name == "" || slices.ContainsFunc(policies[:i], func(o named) bool { return o.name == p.name }) {
			continue
		}
		found, err := a.environmentOf(ctx, r, p.name)
		switch {
		case err == nil && approval.Needed(found):
			return found, nil
		case err == nil && found != "":
			environment = found
		case err == nil, errors.Is(err, repo.ErrNotFound) && !p.must:
		case r == nil, codeOf(err) == exitcode.Usage:
			return "", err
		default:
			a.log.Warn("this counts as production, because a policy can not be read", "policy", p.name, "error", err)
			return "production", nil
		}
	}
	if r != nil && !slices.ContainsFunc(policies, func(p named) bool { return p.name != "" }) {
		return a.anyEnvironment(ctx, r)
	}
	return environment, nil
}

// anyEnvironment is production where any policy of the repository is: what was backed
// up by hand, and a file, say nothing of whose they are, and leaving a flag out must
// not be the way around an approval.
func (a *app) anyEnvironment(ctx context.Context, r *repo.Repository) (string, error) {
	names, err := r.Policies(ctx)
	if err != nil {
		a.log.Warn("this counts as production, because the policies can not be listed", "error", err)
		return "production", nil
	}
	for _, name := range names {
		revision, err := r.CurrentPolicy(ctx, name)
		switch {
		case errors.Is(err, repo.ErrNotFound):
		case err != nil:
			a.log.Warn("this counts as production, because a policy can not be read", "policy", name, "error", err)
			return "production", nil
		case !revision.Envelope.Retired && approval.Needed(revision.Document.Environment):
			a.log.Info("this counts as production, because it names no policy and one of the repository is of production", "policy", name)
			return revision.Document.Environment, nil
		}
	}
	return "", nil
}

// environmentOf is what one policy says, as its newest revision has it, also where the
// policy is retired.
func (a *app) environmentOf(ctx context.Context, r *repo.Repository, name string) (string, error) {
	if isPolicyFile(name) {
		document, err := readPolicyFile(name)
		return document.Environment, err
	}
	if err := policy.ValidateName(name); err != nil {
		return "", usagef("--policy: %w; a file is named with a path, such as ./%s", err, name)
	}
	if r == nil {
		return "", usagef("policy %q is in a repository, and none is named: give --repository, or a file with the policy", name)
	}
	revision, err := r.CurrentPolicy(ctx, name)
	if err != nil {
		return "", err
	}
	return revision.Document.Environment, nil
}
