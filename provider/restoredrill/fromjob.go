package restoredrill

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/deployment"
)

// fromJob is the reverse of Work, for an import.
func fromJob(ctx context.Context, j job.Job) (map[string]any, diag.Diagnostics) {
	read, d := deployment.Reader{Context: ctx}, j.Drill
	attributes := map[string]any{
		"kind": declaredKind(d.Kind), "database": deployment.Optional(d.Database),
		"source": deployment.Optional(d.Source), "seed": number(d.Seed), "from": deployment.Optional(d.From), "replica": deployment.Optional(j.Replica),
		"backups_of": read.Texts(d.Of), "into": into(&read, d.Into), "amcheck": yes(d.AmCheck), "allow_archived": yes(d.Archived), "jobs": number(int64(d.Jobs)),
		"max_duration": length(j.Limits.MaxDuration),
	}
	if len(d.Checks) > 0 {
		checks := map[string]checkModel{}
		for _, c := range d.Checks {
			checks[c.Name] = checkModel{SQL: types.StringValue(c.SQL), Expect: deployment.Optional(c.Expect), Timeout: length(c.Timeout)}
		}
		attributes["checks"] = checks
	}
	return attributes, read.Diags
}

// declaredKind is null for those that follow from the place.
func declaredKind(kind string) types.String {
	if kind == string(job.KindRDSSnapshot) {
		return types.StringNull()
	}
	return deployment.Optional(kind)
}

func into(read *deployment.Reader, d job.DrillInto) (m intoModel) {
	if s := d.ScratchCluster; s != nil {
		m.ScratchCluster = &scratchModel{Directory: deployment.Optional(s.Directory), Extensions: read.Texts(s.Extensions), Settings: read.TextMap(s.Settings)}
	}
	if b := d.Database; b != nil {
		reach := deployment.ReadReach(b.Server, deployment.Optional(b.DatabaseURLRef.String()))
		m.Database = &reach
	}
	if r := d.RDSInstance; r != nil {
		m.RDSInstance = &rdsModel{
			Class: deployment.Optional(r.Class), SubnetGroup: deployment.Optional(r.SubnetGroup), SecurityGroups: read.Texts(r.SecurityGroups),
			Region: deployment.Optional(r.Region), Database: deployment.Optional(r.Database), User: deployment.Optional(r.User),
			PasswordRef: deployment.Optional(r.PasswordRef.String()), SSLMode: deployment.Optional(r.SSLMode),
		}
	}
	return m
}

// length, number and yes are null for what a job file leaves out.
func length(d duration.Duration) types.String {
	if d.IsZero() {
		return types.StringNull()
	}
	return types.StringValue(d.String())
}

func number(n int64) types.Int64 {
	if n == 0 {
		return types.Int64Null()
	}
	return types.Int64Value(n)
}

func yes(is bool) types.Bool {
	if !is {
		return types.BoolNull()
	}
	return types.BoolValue(true)
}
