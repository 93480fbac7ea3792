package recoverypoint

import (
	"context"
	"errors"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// ImportState takes the id of a point: <repository>#<point>. What only a
// configuration knows (schedule, triggers) is not in state then, and giving it
// takes no other point.
func (r *Resource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	at, made, held, err := r.find(ctx, req.ID)
	if err != nil {
		resp.Diagnostics.AddError("importing pgbackup_recovery_point ("+req.ID+")", valid.Sentence(err))
		return
	}
	var m model
	m.show(at, made)
	values := map[string]attr.Value{
		"id": m.ID, "repository": m.Repository, "point": m.Point, "source": m.Source, "kind": m.Kind, "start": m.Start, "end": m.End,
		"snapshot": m.Snapshot, "snapshot_arn": m.SnapshotARN, "status": m.Status,
		"hold": types.BoolValue(held), "on_destroy": types.StringValue(release),
	}
	if made.Policy != "" {
		values["policy"] = types.StringValue(location.PolicyID{Repository: at, Name: made.Policy}.String())
	}
	if s := made.RDS; s != nil {
		name := "rds_instance"
		if s.Cluster {
			name = "rds_cluster"
		}
		values[name] = types.StringValue(s.Database)
		if cfg, err := r.conn.AWS(""); err != nil || cfg.Region != s.Region {
			values["region"] = types.StringValue(s.Region)
		}
	}
	for name, value := range values {
		resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root(name), value)...)
	}
}

// find reads the point that an id names.
func (r *Resource) find(ctx context.Context, id string) (at location.Location, made *repo.Manifest, held bool, err error) {
	place, point, found := strings.Cut(id, "#")
	if !found || point == "" {
		return at, nil, false, errors.New("give the repository and the point, such as s3://acme-pg-backups/prod#20260301T020000Z-abcdefgh")
	}
	if at, err = location.Parse(place); err != nil {
		return at, nil, false, err
	}
	opened, err := r.open(ctx, at, "")
	if err != nil {
		return at, nil, false, err
	}
	listed, err := opened.Find(ctx, point, repo.Filter{})
	if err != nil {
		return at, nil, false, err
	}
	if made, err = opened.Manifest(ctx, listed.Ref); err != nil {
		return at, nil, false, err
	}
	h, err := holdOf(ctx, opened.Repository, listed.Ref)
	return at, made, h.own, err
}
