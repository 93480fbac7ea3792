package verify

import (
	"errors"
	"fmt"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// A store that archives may word it as it likes: nothing was read, so nothing is known.
func TestWhatIsArchivedIsNeverBad(t *testing.T) {
	t.Parallel()
	for _, err := range []error{repo.ErrArchived, fmt.Errorf("object a: %w", repo.ErrArchived), fmt.Errorf("%w: %w", repo.ErrDamaged, repo.ErrArchived)} {
		if r := judge(repo.Listed{}, "a", err); r.bad != nil || r.unchecked != nil || !errors.Is(r.archived, repo.ErrArchived) {
			t.Errorf("%v: %+v", err, r)
		}
	}
	opts := Options{Mark: true, Points: []repo.Listed{{Ref: repo.Ref{Source: "app", Kind: "logical", ID: "x"}}}}
	report, err := opts.report(t.Context(), []result{{archived: repo.ErrArchived}})
	if err != nil || report.Err() != nil || report.Checked != 0 || len(report.Archived) != 1 || report.Archived[0].Ref != opts.Points[0].Ref {
		t.Errorf("%+v, %v", report, err)
	}
}
