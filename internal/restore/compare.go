package restore

import (
	"context"
	"fmt"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical/comparison"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
)

// compare reads what was restored back and holds it against the backup's records.
func (r *run) compare(ctx context.Context) error {
	if r.Select.SchemaOnly {
		return nil
	}
	found, err := comparison.Run(ctx, r.comparisonOptions())
	if err != nil {
		return err
	}
	return r.compared(found)
}

func (r *run) comparisonOptions() comparison.Options {
	return comparison.Options{
		TOC: r.toc, Records: r.records, Encoding: r.point.Server.Encoding, Target: r.Target, Jobs: r.Jobs,
		Skip: func(e *pgarchive.Entry) bool { return !r.wanted(e) }, AtLeast: r.inserting && r.Select.DataOnly,
	}
}

// mostTold is how many differences an error tells; the result has all.
const mostTold = 3

func (r *run) compared(found comparison.Result) error {
	r.result.Comparison = &found
	r.result.Tables, r.result.Rows, r.result.Bytes = int(found.Tables), found.Rows, found.Bytes
	if found.Equal() {
		return nil
	}
	var told []string
	for _, d := range found.Differences {
		if len(told) == mostTold {
			told = append(told, fmt.Sprintf("and %d more", len(found.Differences)-mostTold))
			break
		}
		told = append(told, d.Object+": "+d.Problem)
	}
	return fmt.Errorf("%w: %s", ErrDiffers, strings.Join(told, "; "))
}
