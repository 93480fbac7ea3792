package deployment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/host"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// Update makes the new deployment before it removes the old one: at no moment is
// the job without one. What cannot be removed is remembered, and tried again by
// the next apply.
func (r *Resource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	declared, diags := r.declared(ctx, req.Plan)
	resp.Diagnostics.Append(diags...)
	was, diags := r.declared(ctx, req.State)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	m, state := declared.Base(), was.Base()
	old, diags := state.current(ctx, r)
	resp.Diagnostics.Append(diags...)
	d, diags := r.renderNow(ctx, "updating", declared)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	d.show(declared)
	generation, diags := generationOf(ctx, req.Private)
	resp.Diagnostics.Append(diags...)
	ends := state.leftBehind(ctx, &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	now := left{RunOn: d.name, ID: m.ID.ValueString()}
	defer r.conn.Lock(now.claimed())()
	w := work{generation: cmp.Or(generation, newGeneration()), moved: d.movedFrom(old, m)}
	w.fresh = w.moved && !slices.ContainsFunc(ends, now.samePlace)
	resp.Diagnostics.Append(keepGeneration(ctx, resp.Private, w.generation)...) // also of what is made in part
	brought, err := r.bring(ctx, d, m, w)
	if err != nil {
		resp.Diagnostics.Append(m.failed("updating", err)...)
		if w.moved {
			resp.Diagnostics.Append(r.undo(ctx, d, m, brought)...)
		}
		return
	}
	r.conn.Claim(now.claimed(), w.generation)
	moved := w.moved
	if moved {
		ends = append(ends, old)
	} else if err := tidyHost(old, d); err != nil {
		resp.Diagnostics.Append(m.failed("updating", err)...)
		return
	}
	m.LeftBehind, diags = r.end(ctx, m, now, generation, ends)
	resp.Diagnostics.Append(diags...)
	if moved || !byHand(d.name) {
		if err := r.discard(ctx, state, old.RunOn, d.papers()); err != nil {
			resp.Diagnostics.AddWarning(fmt.Sprintf("%s: the job file before was left in the repository", m.Called()), valid.Sentence(err))
		}
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, declared)...)
	resp.Diagnostics.Append(r.tell(old.RunOn, d, state, m)...)
}

// movedFrom reports whether a deployment stands beside the old one. Other folders
// of this host are no other place: the files have their turn one by one.
func (d rendering) movedFrom(old left, m *Model) bool {
	return old.RunOn != d.name || old.ID != m.ID.ValueString() && d.name != deploy.Host
}

// work is what an update does.
type work struct {
	generation string
	moved      bool // to another place
	fresh      bool // where nothing of this resource can be yet
}

// bring makes the new deployment. One in another place is looked at before anybody
// relies on it.
func (r *Resource) bring(ctx context.Context, d *rendering, m *Model, w work) (made brought, err error) {
	if w.fresh {
		err = r.checkFree(ctx, d, m)
	}
	switch {
	case err != nil:
	case w.moved:
		made, err = r.putNew(ctx, d.papers())
	default:
		err = r.put(ctx, d.papers())
	}
	if err == nil {
		err = d.apply(ctx, w.generation)
	}
	if err != nil || !w.moved {
		return made, err
	}
	on, _ := m.runOn(ctx) // read once already
	seen := *m
	if err := d.read(ctx, &seen, on); err != nil {
		return made, fmt.Errorf("the new deployment cannot be read back, and the one before stays: %w", err)
	}
	return made, nil
}

func (l left) samePlace(other left) bool { return l.RunOn == other.RunOn && l.ID == other.ID }

// tidyHost removes files of the same job that have no place any more.
func tidyHost(old left, d *rendering) error {
	if d.name != deploy.Host || old.Document == "" {
		return nil
	}
	var stale []string
	now := d.deployment.(hostDeployment).all() //nolint:forcetypeassert // of the target host
	was, err := hostPaths(old)
	for _, p := range was {
		if !slices.Contains(now, p) {
			stale = append(stale, p)
		}
	}
	if err != nil {
		return err
	}
	return host.Remove(stale...)
}

// end removes deployments that are not the one on the target now; what is left of
// them is to be remembered.
func (r *Resource) end(ctx context.Context, m *Model, now left, generation string, ends []left) (types.List, diag.Diagnostics) {
	var diags diag.Diagnostics
	remain := []left{}
	for _, l := range ends {
		if now.samePlace(l) {
			continue // the job has come back to it
		}
		err := r.remove(ctx, l, generation)
		if err == nil {
			r.conn.Release(l.claimed())
		}
		if err != nil && !errors.Is(err, awsapi.ErrSuperseded) {
			remain = append(remain, l)
			diags.AddWarning(fmt.Sprintf("%s: the deployment on %s could not be removed, and may still run", m.Called(), l.RunOn),
				fmt.Sprintf("%s is still there, beside the new one. The next apply tries again. %s", strings.TrimSpace(l.ID), valid.Sentence(err)))
		}
	}
	list, more := types.ListValueFrom(ctx, leftType, remain)
	diags.Append(more...)
	return list, diags
}

// tell says what people have to do, at the old place and the new one.
func (r *Resource) tell(old string, d *rendering, before, after *Model) (diags diag.Diagnostics) {
	if old == d.name {
		return d.afterwards(before, after)
	}
	if t, err := r.target(old); err == nil {
		diags.Append(t.afterwards(before, nil)...)
	}
	diags.Append(d.afterwards(nil, after)...)
	return diags
}
