package restoredrill

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/nearest"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/deployment"
)

// wrong is an error about an attribute.
func wrong(errs *[]error, at path.Path, format string, args ...any) {
	*errs = append(*errs, deployment.At(at, fmt.Errorf(format, args...)))
}

// word is one of a few words; "" where none is given.
func word(name string, given types.String, valid []string, errs *[]error) string {
	text := given.ValueString()
	if !given.IsNull() && !slices.Contains(valid, text) {
		wrong(errs, path.Root(name), "%s = %q: give %s%s", name, text, strings.Join(valid, ", "), nearest.Suggestion(text, valid))
	}
	return text
}

// kind of the points. That of snapshots follows from the place they are restored to.
func (m *model) kind(errs *[]error) string {
	kind := word("kind", m.Kind, []string{string(job.KindLogical), string(job.KindPhysical)}, errs)
	if !m.Database.IsNull() && !m.Database.IsUnknown() && kind != string(job.KindPhysical) {
		wrong(errs, path.Root("database"), "database says where in a whole server the checks are run: leave it out, or set kind = %q", job.KindPhysical)
	}
	return kind
}

// seed of the choice by chance, which is what base backups are drilled by unless a
// source is given.
func (m *model) seed(errs *[]error) int64 {
	chosen := job.Drill{Kind: m.Kind.ValueString(), Source: m.Source.ValueString()}.Chosen()
	if !m.Seed.IsNull() && chosen != job.DrillRandom {
		wrong(errs, path.Root("seed"), "seed makes a choice by chance repeatable: leave it out, or set source = %q", job.DrillRandom)
	}
	return m.Seed.ValueInt64()
}

// replica is given for a drill of the replica, and for no other.
func (m *model) replica(errs *[]error) string {
	wanted := m.From.ValueString() == job.FromReplica
	switch {
	case m.Replica.IsNull() && wanted:
		wrong(errs, path.Root("from"), "from = %q: say which copy with replica = pgbackup_repository.….replica_id", job.FromReplica)
		return ""
	case m.Replica.IsNull():
		return ""
	case !wanted:
		wrong(errs, path.Root("replica"), "replica has a meaning with from = %q only: add that, or leave replica out", job.FromReplica)
		return ""
	}
	at, err := location.Parse(m.Replica.ValueString())
	if err != nil {
		return "" // a validator has said so
	}
	if at.IsDirectory() {
		wrong(errs, path.Root("replica"), "replica %s is a directory: give the replica_id of a pgbackup_repository that has s3.replica", at)
	}
	return at.String()
}

// into is the one place that is given. The blocks may hold, where a reference should
// be, a secret, and errors about them are then tied to no attribute.
func (m *model) into(ctx context.Context, errs *[]error) (into job.DrillInto) {
	var block intoModel
	if err := deployment.Block(ctx, m.Into, &block); err != nil {
		*errs = append(*errs, err)
		return into
	}
	before := len(*errs)
	var given []string
	if s := block.ScratchCluster; s != nil {
		given = append(given, "scratch_cluster")
		into.ScratchCluster = &job.ScratchCluster{
			Directory: s.Directory.ValueString(), Extensions: deployment.Texts(ctx, s.Extensions, errs), Settings: deployment.TextMap(ctx, s.Settings, errs),
		}
	}
	if d := block.Database; d != nil {
		given = append(given, "database")
		into.Database = &job.DrillDatabase{
			Server: d.Server.ToJob("into.database.server", errs), DatabaseURLRef: deployment.Reference("into.database.database_url_ref", d.DatabaseURLRef, errs),
		}
	}
	if r := block.RDSInstance; r != nil {
		given = append(given, "rds_instance")
		into.RDSInstance = &job.DrillInstance{
			Class: r.Class.ValueString(), SubnetGroup: r.SubnetGroup.ValueString(), SecurityGroups: deployment.Texts(ctx, r.SecurityGroups, errs),
			Region: r.Region.ValueString(), Database: r.Database.ValueString(), User: r.User.ValueString(),
			PasswordRef: deployment.Reference("into.rds_instance.password_ref", r.PasswordRef, errs), SSLMode: r.SSLMode.ValueString(),
		}
	}
	if len(given) == 1 {
		if kind := m.Kind.ValueString(); into.ScratchCluster == nil && kind == string(job.KindPhysical) || into.RDSInstance != nil && kind != "" {
			*errs = append(*errs, fmt.Errorf("into.%s is no place for backups of kind %q: give scratch_cluster, or leave kind out", given[0], kind))
		}
		return into
	}
	err := fmt.Errorf("into: give exactly one of scratch_cluster, database and rds_instance, not %d", len(given))
	if len(given) > 0 {
		err = fmt.Errorf("%w (%s)", err, strings.Join(given, ", "))
	}
	if len(*errs) == before {
		err = deployment.At(path.Root("into"), err)
	}
	*errs = append(*errs, err)
	return into
}

// checkSnapshot: a snapshot of RDS is restored by AWS, and nothing is left to say of
// how.
func (m *model) checkSnapshot(errs *[]error) {
	if m.AmCheck.ValueBool() {
		wrong(errs, path.Root("amcheck"), "a drill of a snapshot looks at it by checks alone: leave amcheck out")
	}
	if !m.Jobs.IsNull() {
		wrong(errs, path.Root("jobs"), "AWS restores a snapshot by itself: leave jobs out")
	}
	if m.From.ValueString() == job.FromReplica {
		wrong(errs, path.Root("from"), "snapshots are with RDS and not in the replica: leave from and replica out, or drill dumps")
	}
}

// checks by their names, in order.
func (m *model) checks(ctx context.Context, errs *[]error) (list []job.DrillCheck) {
	declared := map[string]checkModel{}
	if diags := m.Checks.ElementsAs(ctx, &declared, false); diags.HasError() {
		*errs = append(*errs, errors.New(diags.Errors()[0].Detail()))
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		c, at := declared[name], path.Root("checks").AtMapKey(name)
		if strings.TrimSpace(name) == "" {
			wrong(errs, path.Root("checks"), "checks: a check has no name: give one that says what it looks for, such as \"recent orders\"")
		}
		if strings.TrimSpace(c.SQL.ValueString()) == "" {
			wrong(errs, at.AtName("sql"), "checks[%q].sql is empty: give a statement that returns one value, such as select count(*) from orders", name)
		}
		if _, err := job.ParseExpectation(c.Expect.ValueString()); err != nil {
			wrong(errs, at.AtName("expect"), "checks[%q].expect: %w", name, err)
		}
		list = append(list, job.DrillCheck{
			Name: name, SQL: c.SQL.ValueString(), Expect: c.Expect.ValueString(),
			Timeout: deployment.Span(fmt.Sprintf("checks[%q].timeout", name), c.Timeout, errs),
		})
	}
	return list
}
