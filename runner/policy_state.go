package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/statefile"
)

// toldState is a version of a state file in the documents of `policy history
// --state` and `policy diff --state`.
type toldState struct {
	VersionID        string       `json:"version_id"`
	At               time.Time    `json:"at"`
	Serial           *int64       `json:"serial"` // null when it can not be read
	Lineage          string       `json:"lineage"`
	TerraformVersion string       `json:"terraform_version"`
	Latest           bool         `json:"latest"`
	Deleted          bool         `json:"deleted"`
	Notes            []string     `json:"notes"` // what is odd about this version
	Changes          []toldPolicy `json:"changes"`
	Problem          string       `json:"problem,omitempty"`

	compared bool // its policies are known, and so is what changed in them
}

// toldPolicy is what became of one policy resource.
type toldPolicy struct {
	Address   string          `json:"address"`
	Policy    string          `json:"policy"`
	What      string          `json:"what"` // declared, changed, moved, removed, unclear; present in the oldest version
	From      string          `json:"from"` // the address before a move
	Changes   []policy.Change `json:"changes"`
	Sentences []string        `json:"sentences"`
}

const present = "present"

// tellChange makes the sentences of a change.
func tellChange(c statefile.Change) toldPolicy {
	t := toldPolicy{Address: c.Address, Policy: c.Policy, What: c.What, From: c.From, Changes: []policy.Change{}, Sentences: []string{}}
	for _, change := range c.Changes {
		if c.What != statefile.Declared || change.Field != "name" {
			t.Changes = append(t.Changes, change)
		}
	}
	switch c.What {
	case statefile.Declared:
		t.Sentences = append(t.Sentences, "declared with "+declared(t.Changes))
		return t
	case statefile.Removed:
		t.Sentences = append(t.Sentences, "removed from the state")
	case statefile.Moved:
		t.Sentences = append(t.Sentences, "moved, was "+c.From)
	case statefile.Unclear:
		t.Sentences = append(t.Sentences, "can not be compared: "+oneLine(c.Problem.Error()))
	}
	t.Sentences = append(t.Sentences, sentencesOf(t.Changes)...)
	return t
}

// compareStates tells what changed in the policies between two states; name
// selects one policy, "" all.
func compareStates(before, after statefile.State, name string) []toldPolicy {
	told := []toldPolicy{}
	for _, c := range statefile.Diff(before, after) {
		if name == "" || c.Policy == name {
			told = append(told, tellChange(c))
		}
	}
	return told
}

// firstSeen tells what a state holds that has none before it: when its policies
// were declared is not known.
func firstSeen(state statefile.State, name string) []toldPolicy {
	told := compareStates(statefile.State{}, state, name)
	for i := range told {
		if t := &told[i]; t.What == statefile.Declared {
			t.What, t.Sentences = present, []string{"there with " + declared(t.Changes)}
		}
	}
	return told
}

// tellStates tells what each version changed, newest first like the versions.
func tellStates(states []stateVersion, older int, name string) []toldState {
	told := make([]toldState, len(states))
	var before *stateVersion // the newest readable one so far
	for i, v := range slices.Backward(states) {
		l := v.listed()
		t := toldState{VersionID: l.VersionID, At: l.At, Serial: l.Serial, Lineage: l.Lineage, TerraformVersion: l.TerraformVersion,
			Latest: l.Latest, Deleted: l.Deleted, Notes: []string{}, Changes: []toldPolicy{}, Problem: l.Problem}
		switch {
		case v.Deleted:
			t.Notes = append(t.Notes, "the state file was deleted")
		case v.problem != nil:
		case v.state.Encrypted:
			t.Notes = append(t.Notes, "encrypted by OpenTofu: what changed can not be seen")
		case before == nil:
			t.compared = true
			t.Notes = append(t.Notes, oldestNote(v.state.Serial, older))
			t.Changes = firstSeen(v.state, name)
		default:
			t.compared = true
			t.Notes = append(t.Notes, oddities(before.state, v.state)...)
			t.Changes = compareStates(before.state, v.state, name)
		}
		if v.readable() && !v.state.Encrypted {
			before = &states[i]
		}
		told[i] = t
	}
	return told
}

func oldestNote(serial int64, older int) string {
	if older > 0 {
		return "the oldest version that was read; see --limit"
	}
	if serial <= 1 {
		return "the first version"
	}
	return "the oldest version the bucket still has"
}

// oddities are what a state that goes its normal way does not do.
func oddities(before, after statefile.State) (notes []string) {
	switch {
	case before.Lineage != after.Lineage:
		notes = append(notes, fmt.Sprintf("another state: lineage %q -> %q, it was replaced, not changed", before.Lineage, after.Lineage))
	case after.Serial < before.Serial:
		notes = append(notes, fmt.Sprintf("the serial goes back: %d -> %d, an older state was written over a newer one", before.Serial, after.Serial))
	}
	return notes
}

// tells reports whether a version is worth showing without --all.
func (t toldState) tells() bool { return len(t.Changes)+len(t.Notes) > 0 || t.Problem != "" }

func (a *app) stateHistory(ctx context.Context, url string, args []string, all bool) error {
	name := ""
	if len(args) > 0 {
		name = args[0]
		if err := policy.ValidateName(name); err != nil {
			return usage(err)
		}
	}
	o, states, older, warned, err := a.listStates(ctx, "--state", url, a.stateLimit)
	if err != nil {
		return err
	}
	told := tellStates(states, older, name)
	skipped, problems, mentioned := 0, 0, false
	shown := told[:0]
	for _, t := range told {
		mentioned = mentioned || len(t.Changes) > 0
		if t.Problem != "" {
			problems++
			a.warn(fmt.Sprintf("version %s can not be read: %s", t.VersionID, t.Problem))
		}
		if !all && !t.tells() {
			skipped++
			continue
		}
		shown = append(shown, t)
	}
	if name != "" && !mentioned {
		return exitcode.Errorf(exitcode.NotFound, "policy %q is in none of the %s of %s that were read", name, plural(int64(len(states)), "version"), o.URL())
	}
	if a.flags.json {
		err = a.printJSON(struct {
			State    string      `json:"state"`
			Versions []toldState `json:"versions"`
			Skipped  int         `json:"skipped"` // versions that changed no policy
			Older    int         `json:"older"`   // versions not read
		}{o.URL(), shown, skipped, older})
		if err != nil {
			return err
		}
	} else {
		a.say("Policies in %s, newest version first:", printable(o.URL()))
		for _, t := range shown {
			a.sayState(t)
		}
		if skipped > 0 {
			a.say("\n%s changed no policy; --all shows them.", plural(int64(skipped), "version"))
		}
		if older > 0 {
			a.say("\n%s not read; see --limit.", plural(int64(older), "older version"))
		}
	}
	if problems > 0 || warned {
		return errWarned
	}
	return nil
}

func (a *app) sayState(t toldState) {
	a.say("")
	a.say("%s", printable(t.headline()))
	for _, n := range t.Notes {
		a.say("  %s", printable(n))
	}
	if t.Problem != "" {
		a.say("  can not be read: %s", printable(t.Problem))
	}
	a.sayPolicies(t.Changes)
	if t.compared && len(t.Changes) == 0 {
		a.say("  no policy changed")
	}
}

func (a *app) sayPolicies(list []toldPolicy) {
	for _, p := range list {
		for _, s := range p.Sentences {
			a.say("  %s: %s", printable(p.Address), printable(s))
		}
	}
}

func (t toldState) headline() string {
	text := stamp(t.At) + ", version " + t.VersionID
	if t.Serial != nil {
		text += fmt.Sprintf(", serial %d", *t.Serial)
	}
	if t.TerraformVersion != "" {
		text += ", Terraform " + t.TerraformVersion
	}
	if t.Latest {
		text += ", the newest"
	}
	return text
}

// findState is the version that an id or a serial means.
func findState(states []stateVersion, text string) (*stateVersion, error) {
	var found []*stateVersion
	serial, err := strconv.ParseInt(text, 10, 64)
	for i := range states {
		v := &states[i]
		if v.ID == text {
			found = []*stateVersion{v}
			break
		}
		if err == nil && v.readable() && v.state.Serial == serial {
			found = append(found, v)
		}
	}
	switch {
	case len(found) == 0:
		return nil, exitcode.Errorf(exitcode.NotFound, "no version has the id or the serial %.100q; `pgbackup-runner state versions` lists them", text)
	case len(found) > 1:
		return nil, usagef("%d versions have serial %d: give the id of one, such as %s or %s", len(found), serial, found[0].ID, found[1].ID)
	case found[0].Deleted:
		return nil, usagef("version %s is a deletion: there is no state in it", text)
	case found[0].problem != nil:
		return nil, fmt.Errorf("version %s can not be read: %w", text, found[0].problem)
	case found[0].state.Encrypted:
		return nil, fmt.Errorf("version %s is encrypted by OpenTofu: what is in it can not be seen", text)
	}
	return found[0], nil
}

// lastTwo are the two newest states that can be compared, older first.
func lastTwo(states []stateVersion) (from, to *stateVersion, err error) {
	for i := range states {
		v := &states[i]
		if !v.readable() || v.state.Encrypted {
			continue
		}
		if to == nil {
			to = v
			continue
		}
		return v, to, nil
	}
	return nil, nil, exitcode.Errorf(exitcode.NotFound, "there are no two versions to compare")
}

func (a *app) stateDiff(ctx context.Context, url string, args []string) error {
	o, states, _, warned, err := a.listStates(ctx, "--state", url, a.stateLimit)
	if err != nil {
		return err
	}
	var from, to *stateVersion
	if len(args) == 0 {
		from, to, err = lastTwo(states)
	} else if from, err = findState(states, args[0]); err == nil {
		to, err = findState(states, args[1])
	}
	if err != nil {
		return err
	}
	told := tellStates([]stateVersion{*to, *from}, 0, "")
	first, second := told[1], told[0]
	first.Changes, first.Notes = []toldPolicy{}, []string{}
	if a.flags.json {
		err = a.printJSON(struct {
			State   string       `json:"state"`
			From    toldState    `json:"from"`
			To      toldState    `json:"to"`
			Changes []toldPolicy `json:"changes"`
		}{o.URL(), first, second, second.Changes})
	} else {
		a.say("Policies in %s", printable(o.URL()))
		a.say("from %s", printable(first.headline()))
		a.say("to   %s", printable(second.headline()))
		a.say("")
		for _, n := range second.Notes {
			a.say("  %s", printable(n))
		}
		a.sayPolicies(second.Changes)
		if len(second.Changes) == 0 {
			a.say("  no policy changed")
		}
	}
	if err == nil && warned {
		return errWarned
	}
	return err
}
