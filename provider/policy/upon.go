package policy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/connection"
)

// otherError: the repository does not have the revision of the policy that the
// state knows, so that nobody can tell what a change of it means there.
type otherError struct{ summary, detail string }

func (e *otherError) Error() string { return e.summary + ": " + e.detail }

func (e *otherError) diagnostic(c *change) diag.Diagnostic {
	return diag.NewAttributeErrorDiagnostic(path.Root("repository"), fmt.Sprintf("pgbackup_policy (%s): %s", c.id.Name, e.summary), e.detail)
}

// asOther is the otherError in err, nil when there is none.
func asOther(err error) *otherError {
	var other *otherError
	errors.As(err, &other)
	return other
}

// compare holds the newest revision of the repository, 0 for none, against the
// one that the state knows.
func (c *change) compare(newest policy.Revision) error {
	there := "has no such policy"
	if newest.Number > 0 {
		there = fmt.Sprintf("has revision %d, written %s by %s", newest.Number, newest.Envelope.At.UTC().Format(time.RFC3339), orUnknown(newest.Envelope.By))
	}
	if newest.Envelope.Retired {
		there += ", which retired it"
	}
	differs := newest.Number != c.upon || newest.Envelope.Retired
	if !differs && c.old != nil {
		c.forgotten = policy.Diff(*c.old, newest.Document)
	}
	switch {
	case c.from != "" && (differs || len(c.forgotten) > 0):
		if !differs {
			there += ", with other rules than this one"
		}
		return c.elsewhere(there)
	case differs:
		return &otherError{"the repository has another revision of it than the state", fmt.Sprintf("%s %s; the state knows revision %d. Plan again, with a refresh: what changed since then shows in it. Nothing was changed.", c.id.Repository, there, c.upon)}
	}
	return nil
}

// elsewhere: the new way does not lead to the policy.
func (c *change) elsewhere(there string) error {
	return &otherError{"the changed repository id leads to another repository", fmt.Sprintf("%s %s. In %s, where the policy was applied last, it is at revision %d. "+
		"If the new id is wrong, correct it. If the policy is to be declared anew in that repository, replace it:\n\n  terraform apply -replace=ADDRESS\n\n"+
		"It is retired in the old place then; where that is gone, take the policy out of the state first:\n\n  terraform state rm ADDRESS\n\nNothing was changed.", c.id.Repository, there, c.from, c.upon)}
}

// open opens the repository that the change is for.
func (c *change) open(ctx context.Context, conn *connection.Connection) (connection.Opened, error) {
	opened, err := conn.OpenRepository(ctx, c.id.Repository, "")
	if c.from != "" && notYetThere(err) {
		return opened, c.elsewhere(fmt.Sprintf("cannot be opened (%v)", err))
	}
	return opened, err
}

// follow finds out whether a changed way leads to the same policy.
func (c *change) follow(ctx context.Context, conn *connection.Connection) error {
	opened, err := c.open(ctx, conn)
	if err != nil {
		return err
	}
	return c.findOld(ctx, opened.Repository)
}

// forgot warns of a state that says otherwise than the repository.
func (c *change) forgot() (diags diag.Diagnostics) {
	if len(c.forgotten) == 0 {
		return nil
	}
	var lines []string
	for _, change := range c.forgotten {
		lines = append(lines, "  - "+change.String())
	}
	diags.AddWarning(fmt.Sprintf("pgbackup_policy (%s): the state says otherwise than revision %d in the repository, which is what counts", c.id.Name, c.upon),
		fmt.Sprintf("From the state to the repository:\n%s\n\nWhat the change loses is told from there. A plan with a refresh takes it into the state.", strings.Join(lines, "\n")))
	return diags
}

// standing warns of a policy that is in force where one is to be created. Nobody
// tells a provider whether it will be destroyed by then.
func (c *change) standing() (diags diag.Diagnostics) {
	if c.inForce == 0 {
		return nil
	}
	diags.AddWarning(fmt.Sprintf("pgbackup_policy (%s): the repository has a policy of this name in force (revision %d)", c.id.Name, c.inForce),
		fmt.Sprintf("Where this plan replaces it, it is retired first and all is well, unless lifecycle has create_before_destroy: a name is in force once, so the apply would stop there before it writes anything. Take create_before_destroy out then.\n\n%s", c.importing()))
	return diags
}

// taken: somebody has a policy of this name in force, where one is to be created.
func (c *change) taken(err error) error {
	return fmt.Errorf("the repository has a policy of this name already. %s\n\n"+
		"If this is its replacement, lifecycle has create_before_destroy: a name is in force once, so take that out and apply again.\n\nNothing was changed: %w", c.importing(), err)
}

// importing tells how an existing policy comes to be managed.
func (c *change) importing() string {
	return fmt.Sprintf("If it is to be managed here, import it:\n\n  terraform import ADDRESS '%s'", c.id)
}

func orUnknown(by string) string {
	if by == "" {
		return "somebody unknown"
	}
	return by
}
