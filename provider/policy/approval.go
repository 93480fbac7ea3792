package policy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/impact"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/rotate"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/connection"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// change is a policy document that is to follow another.
type change struct {
	id       location.PolicyID
	old      *policy.Document // what the state says, then what the repository does; nil when there is none
	document policy.Document
	asOf     time.Time // the moment to show the change as of; zero is now
	// create: what was in force before is asked of the repository. A policy that
	// was retired counts: destroying and declaring anew with shorter rules would
	// lose the same points.
	create bool
	// inForce is the revision of that name that a create found, not retired; 0
	// for none.
	inForce int
	// oldDigest is of the newest revision, "" when there is none: what was found of
	// the change is only true of the step from there.
	oldDigest string

	// Of an update: the revision that the state knows, and the repository's id
	// there where that is another way to the same place, or to another place.
	upon int
	from string
	// forgotten is how the state says otherwise than the repository does at that
	// revision, where it does.
	forgotten []policy.Change
}

// changeOf is the change from a state, nil to create, to a document.
func changeOf(ctx context.Context, state *model, id location.PolicyID, document policy.Document, asOf time.Time) change {
	c := change{id: id, document: document, asOf: asOf, create: state == nil}
	if state != nil {
		c.old, c.upon = state.known(ctx), int(state.Revision.ValueInt64())
		if before := state.Repository.ValueString(); before != id.Repository.String() {
			c.from = before
		}
	}
	return c
}

// same reports whether the document means what was applied last.
func (c *change) same() bool { return c.old != nil && len(policy.Diff(*c.old, c.document)) == 0 }

// review reads the repository and finds out what the change loses.
func (c *change) review(ctx context.Context, conn *connection.Connection) (*rotate.Review, error) {
	opened, err := c.open(ctx, conn)
	if err != nil {
		return nil, err
	}
	return c.reviewIn(ctx, conn, opened)
}

func (c *change) reviewIn(ctx context.Context, conn *connection.Connection, opened connection.Opened) (*rotate.Review, error) {
	prices, err := conn.Prices(c.id.Repository)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	if err := c.findOld(ctx, opened.Repository); err != nil {
		return nil, err
	}
	if c.asOf.IsZero() {
		c.asOf = now
	}
	found, err := rotate.ReviewChange(ctx, rotate.ReviewOptions{Repo: opened.Repository, Old: c.old, New: c.document, AsOf: c.asOf, Now: now, Prices: prices})
	if err != nil {
		return nil, err
	}
	return found, found.CheckClock()
}

// findOld decides what the change is held against: what the repository says, not
// what a state does that is out of date or was changed. It is an *otherError when
// the repository does not have the revision that the state knows.
func (c *change) findOld(ctx context.Context, r *repo.Repository) error {
	held, newest, err := rotate.HeldAgainst(ctx, r, c.id.Name)
	if damaged := (*repo.DamagedRevisionError)(nil); errors.As(err, &damaged) && !c.create && c.from == "" {
		return nil // what was applied last stands in for it
	}
	switch {
	case err != nil:
		return err
	case c.create && held != nil && !newest.Envelope.Retired:
		c.inForce = newest.Number
	case !c.create:
		if err := c.compare(newest); err != nil {
			return err
		}
	}
	c.old = held
	if newest.Number > 0 {
		c.oldDigest = newest.StoredDigest()
	}
	return nil
}

// warnings are about what the document costs more than one would think.
func (c *change) warnings(conn *connection.Connection) (diags diag.Diagnostics) {
	for _, doubt := range c.document.Doubts() {
		diags.AddAttributeWarning(path.Root("retention"), fmt.Sprintf("pgbackup_policy (%s): %s", c.id.Name, doubt), "Nothing stops this. Look whether it is meant.")
	}
	if s := c.document.Storage; c.id.Repository.IsDirectory() {
		if s.Class != "" || s.Classes != (policy.TierClasses{}) || len(s.Transitions) > 0 {
			diags.AddAttributeWarning(path.Root("storage"), fmt.Sprintf("pgbackup_policy (%s): a directory has no storage classes", c.id.Name),
				"What the policy says of classes and transitions is stored in it and has no effect.")
		}
		return diags
	}
	prices, err := conn.Prices(c.id.Repository)
	if err != nil {
		return nil // who reads the repository is told
	}
	for _, w := range prices.Warnings(c.document) {
		diags.AddAttributeWarning(path.Root("storage"), fmt.Sprintf("pgbackup_policy (%s): %s", c.id.Name, strings.TrimSuffix(w, ".")), "Estimated from list prices; see storage_prices_usd of the provider.")
	}
	return diags
}

// verdict is what a review and the given code come to.
type verdict struct {
	diags    diag.Diagnostics
	approval string // the code, when it was needed and is good
	loss     policy.Loss
}

// judge decides whether the loss of a change, as it is now, is approved.
func (c *change) judge(ctx context.Context, found *rotate.Review, given types.String) (v verdict) {
	at, code, now := path.Root("approve_expiry"), given.ValueString(), found.Live
	v.loss = policy.Loss{Points: now.ToApprove(), Bytes: now.Bytes, AsOf: now.AsOf, From: c.oldDigest, To: c.document.Digest()}
	head := fmt.Sprintf("pgbackup_policy (%s): ", c.id.Name)
	if !now.Loses() {
		if code != "" {
			v.diags.AddAttributeWarning(at, head+"this change loses no recovery point, so approve_expiry approves nothing: remove it",
				fmt.Sprintf("%s does no harm where it is. Removing it writes no revision.", code))
		}
		return v
	}
	if given.IsUnknown() {
		return v // asked at apply
	}
	approvedAsOf, ok, err := found.Approves(ctx, code)
	if err != nil {
		v.diags.AddAttributeError(at, head+"whether the loss is approved is not known", valid.Sentence(err))
		return v
	}
	if ok {
		v.approval = code
		v.diags.AddAttributeWarning(at, fmt.Sprintf("%s%s will be deleted by the next rotation, approved by %s", head, now.Total(), code), c.approved(now, approvedAsOf))
		return v
	}
	v.diags.AddAttributeError(at, head+now.Total()+" would be lost, and nobody has approved that", c.refusal(found, code))
	return v
}

// refusal is the whole story: Terraform shows no attribute of a resource whose
// plan failed.
func (c *change) refusal(found *rotate.Review, code string) string {
	story := impact.Story(c.id.Repository.String(), c.id.Name, found.Live, found.Code)
	if code != "" {
		story = fmt.Sprintf("The given approve_expiry, %s, names another loss than this one, or one that is more than %d days old.\n\n%s", code, impact.ApprovalLife/(24*time.Hour), story)
	}
	if c.inForce > 0 {
		story += fmt.Sprintf("\n\nThe repository has a policy of this name in force (revision %d). If it is not meant to be replaced but to be managed here, import it:\n\n  terraform import ADDRESS '%s'", c.inForce, c.id)
	}
	return story
}

// approved is the detail of the warning for an approved loss.
func (c *change) approved(now impact.Impact, asOf time.Time) string {
	return fmt.Sprintf("  - %s\n\nThe code names the loss as it was on %s.", strings.Join(now.Sentences, "\n  - "), asOf.UTC().Format("2 January 2006 15:04 UTC"))
}
