package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// rules are the retention rules in force, and where they come from.
type rules struct {
	retention.Rules
	name     string // of the policy, "" without one
	revision int    // of the policy in the repository, 0 for a file
	// current is that revision; nil for rules that are not from the repository.
	current *policy.Revision
	// none says why nothing is to be rotated; "" when there are rules.
	none string
	// overrides are the keep flags that replace rules of the policy.
	overrides []string
}

// policyName is the policy that --policy or the job names, "" for none.
func (a *app) policyName() string {
	if a.flags.policy != "" {
		return a.flags.policy
	}
	if a.job != nil {
		return a.job.Policy
	}
	return ""
}

// rules finds the retention rules: the policy's, with the fields that keep flags
// replace; without a policy the flags alone, or BACKUP_RETENTION_DAYS. A policy
// that a flag or the job names beats the variable, unlike elsewhere: a variable
// that strayed in must not delete what a reviewed policy keeps.
func (a *app) rules(ctx context.Context, r *repo.Repository, keep *keepFlags) (rules, error) {
	found, err := a.policyRules(ctx, r)
	if err != nil {
		return found, err
	}
	if keep != nil && keep.given() {
		keep.apply(&found.Keep)
		found.none = ""
		if found.name != "" {
			found.overrides = keep.texts()
		}
	} else if days := os.Getenv(envRetentionDays); days != "" && found.name != "" {
		a.ignoredDays.Do(func() {
			a.log.Warn(envRetentionDays+" is set and not used: the policy that is named says what to keep", "policy", found.name, "days", days)
		})
	} else if days != "" {
		if found.KeepWithin, err = retentionDays(days); err != nil {
			return found, err
		}
		found.none = ""
	}
	if found.none == "" {
		if err := found.Validate(); err != nil {
			return found, usage(err)
		}
	}
	return found, nil
}

func retentionDays(text string) (duration.Duration, error) {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n < 1 || n > 36500 {
		return duration.Duration{}, usagef("%s is %q: give a number of days from 1 to 36500", envRetentionDays, text)
	}
	return duration.Parse(fmt.Sprintf("%dd", n))
}

func (a *app) policyRules(ctx context.Context, r *repo.Repository) (rules, error) {
	name := a.policyName()
	switch {
	case name == "":
		return rules{none: "there is no policy"}, nil
	case isPolicyFile(name):
		return policyFile(name)
	}
	if err := policy.ValidateName(name); err != nil {
		return rules{}, usagef("--policy: %w; a file is named with a path, such as ./%s", err, name)
	}
	rev, err := r.CurrentPolicy(ctx, name)
	if err != nil {
		return rules{name: name}, err
	}
	if rev.Envelope.Retired {
		return rules{name: name, revision: rev.Number, none: fmt.Sprintf("policy %q is retired", name)}, nil
	}
	found, err := rev.Document.Rules()
	return rules{Rules: found, name: name, revision: rev.Number, current: &rev}, err
}

// isPolicyFile tells the file of a policy document from the name of a policy.
func isPolicyFile(name string) bool {
	return strings.ContainsAny(name, "/\\") || strings.HasSuffix(name, ".json")
}

// declared is the revision whose rules apply as they are; nil when they are the
// operator's word: flags, or a file.
func (r rules) declared() *policy.Revision {
	if len(r.overrides) > 0 {
		return nil
	}
	return r.current
}

// readPolicyFile reads a policy document from a file.
func readPolicyFile(name string) (policy.Document, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return policy.Document{}, usagef("read policy file: %w", err)
	}
	document, err := policy.Parse(data)
	if err != nil {
		return policy.Document{}, usagef("policy file %s: %w", name, err)
	}
	return document, nil
}

func policyFile(name string) (rules, error) {
	document, err := readPolicyFile(name)
	if err != nil {
		return rules{}, err
	}
	found, err := document.Rules()
	return rules{Rules: found, name: document.Name}, err
}

// keepFlags are --keep-last and its like, made from the engine's own list.
type keepFlags struct {
	keep  retention.Keep
	flags *pflag.FlagSet
}

func newKeepFlags(set *pflag.FlagSet) *keepFlags {
	k := &keepFlags{flags: set}
	for _, f := range k.keep.Fields() {
		set.Var(keepValue{f}, keepFlag(f), f.Help+" (instead of the policy's)")
	}
	return k
}

// keepFlag is the name of a rule as a flag.
func keepFlag(f retention.Field) string {
	name := strings.ReplaceAll(f.Name, "_", "-")
	if !strings.HasPrefix(name, "keep-") {
		name = "keep-" + name
	}
	return name
}

func (k *keepFlags) given() bool {
	for _, f := range k.keep.Fields() {
		if k.flags.Changed(keepFlag(f)) {
			return true
		}
	}
	return false
}

// texts are the given flags as they may be typed.
func (k *keepFlags) texts() []string {
	var list []string
	for _, f := range k.keep.Fields() {
		if name := keepFlag(f); k.flags.Changed(name) {
			list = append(list, "--"+name+" "+f.Value())
		}
	}
	return list
}

// apply replaces the rules that were given as flags.
func (k *keepFlags) apply(to *retention.Keep) {
	target := to.Fields()
	for i, f := range k.keep.Fields() {
		if !k.flags.Changed(keepFlag(f)) {
			continue
		}
		if f.Count != nil {
			*target[i].Count = *f.Count
		} else {
			*target[i].Span = *f.Span
		}
	}
}

// keepValue is one rule as a flag's value.
type keepValue struct{ retention.Field }

// Set implements pflag.Value.
func (v keepValue) Set(text string) error {
	if v.Span != nil {
		d, err := duration.Parse(text)
		if err != nil {
			return err
		}
		*v.Span = d
		return nil
	}
	if text == "all" {
		*v.Count = retention.All
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("%q is not a number of points (or \"all\")", text)
	}
	*v.Count = n
	return nil
}

// String implements pflag.Value: the default, which is not given.
func (v keepValue) String() string {
	if v.Name == "" || v.Value() == "off" {
		return ""
	}
	return v.Value()
}

// Type implements pflag.Value, for help texts.
func (v keepValue) Type() string {
	if v.Span != nil {
		return "DURATION"
	}
	return "N"
}
