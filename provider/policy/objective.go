package policy

import (
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
)

// seldomest is the shortest time between backups of a whole database that anybody
// keeps up; less is lost only where the log of the server is archived.
const seldomest = time.Hour

// unreachable warns of an objective that the rules of the policy have no way to.
func unreachable(d policy.Document) (diags diag.Diagnostics) {
	rpo, exact := d.Objectives.RPO.Exact()
	if !exact || rpo <= 0 || rpo >= seldomest || !d.Retention.WAL.IsZero() {
		return nil
	}
	diags.AddAttributeWarning(path.Root("objectives").AtName("rpo"),
		fmt.Sprintf("pgbackup_policy (%s): at most %s may be lost, and no rule keeps WAL: backups alone, however often, do not reach that", d.Name, d.Objectives.RPO),
		fmt.Sprintf(`Give retention.wal, such as wal = "7d", and two schedules with one source: base backups (job = { physical = {…} }) and the log between them (job = { wal = { mode = "receive" } }), which loses seconds. Where that cannot be, as on RDS, which recovers to a point in time by itself, or where the objective is kept by something else, objectives.rpo = %q stays a wish of this policy.`, d.Objectives.RPO))
	return diags
}
