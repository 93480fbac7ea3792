package repository

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/connection"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// Resource is pgbackup_repository.
type Resource struct{ conn *connection.Connection }

var (
	_ resource.ResourceWithConfigure        = (*Resource)(nil)
	_ resource.ResourceWithConfigValidators = (*Resource)(nil)
	_ resource.ResourceWithModifyPlan       = (*Resource)(nil)
	_ resource.ResourceWithValidateConfig   = (*Resource)(nil)
	_ resource.ResourceWithImportState      = (*Resource)(nil)
)

// New makes the resource.
func New() resource.Resource { return &Resource{} }

func (r *Resource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_repository"
}

func (r *Resource) Configure(_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	r.conn, _ = req.ProviderData.(*connection.Connection)
}

func summary(verb, id string) string { return fmt.Sprintf("%s pgbackup_repository (%s)", verb, id) }

func (r *Resource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var m model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	at, known, diags := m.place(ctx, r.conn)
	resp.Diagnostics.Append(diags...)
	ref, diags := m.keyRef(ctx)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	if !known {
		resp.Diagnostics.AddError(summary("creating", "not known"), valid.Sentence(connection.ErrUnknown))
		return
	}
	w, knownWish, diags := m.wish(ctx, r.conn, at)
	resp.Diagnostics.Append(diags...)
	rules, declared, diags := m.declaredRules(ctx, at.Prefix)
	resp.Diagnostics.Append(diags...)
	if !knownWish {
		resp.Diagnostics.AddError(summary("creating", at.String()), valid.Sentence(connection.ErrUnknown))
	}
	if resp.Diagnostics.HasError() {
		return
	}
	// Nothing is made for a repository that cannot be: the key and what is there
	// already are looked at first, and repository.json is written last, so that an
	// apply that dies on the way is simply done again.
	opts, err := r.createOptions(ctx, ref)
	if err == nil {
		err = refuseFile(at.Directory)
	}
	if err == nil {
		err = r.refuseExisting(ctx, at)
	}
	if err == nil {
		err = r.refuseReplica(ctx, at, w, "")
	}
	if err == nil && declared && !w.create {
		err = r.tryRules(ctx, at, rules)
	}
	if err == nil {
		resp.Diagnostics.Append(r.lookOver(ctx, at, w)...)
	}
	var lacking []string
	if err == nil && !resp.Diagnostics.HasError() {
		lacking, diags = r.build(ctx, at, w, false)
		resp.Diagnostics.Append(diags...)
	}
	if err == nil && declared && !resp.Diagnostics.HasError() {
		err = r.applyRules(ctx, at, rules)
	}
	if err != nil {
		resp.Diagnostics.AddError(summary("creating", at.String()), valid.Sentence(err))
	}
	if resp.Diagnostics.HasError() {
		return
	}
	created, err := r.create(ctx, at, opts, w)
	if err != nil {
		resp.Diagnostics.AddError(summary("creating", at.String()), valid.Sentence(existing(at, err)))
		return
	}
	m.ID = types.StringValue(at.String())
	m.describe(created)
	resp.Diagnostics.Append(r.settle(ctx, &m, at, w, lacking)...)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

func (r *Resource) createOptions(ctx context.Context, ref string) (repo.CreateOptions, error) {
	opts := repo.CreateOptions{Reference: ref, Now: time.Now(), By: r.conn.Envelope().By}
	if ref == "" {
		return opts, nil
	}
	key, err := r.conn.Secrets().Key(ctx, ref)
	opts.Key = key
	return opts, err
}

// refuseExisting is the error for a place that has a repository, or another one's
// copies, or is not free for it otherwise. A place that cannot be read is found out
// later.
func (r *Resource) refuseExisting(ctx context.Context, at location.Location) error {
	if _, err := r.conn.OpenRepository(ctx, at, ""); err == nil {
		return existing(at, repo.ErrExists)
	}
	store, err := r.conn.OpenStore(ctx, at, false)
	if err != nil {
		return nil //nolint:nilerr // a directory is made later, and tells of what is wrong with it then
	}
	if of, err := replicaOf(ctx, store); err == nil && of != "" {
		return fmt.Errorf("%s holds the copies of the repository %s: choose a place beside them", at, of)
	}
	if err := repo.CheckPlace(ctx, store, nil); errors.Is(err, repo.ErrPlaceTaken) {
		return err
	}
	return nil
}

func existing(at location.Location, err error) error {
	if !errors.Is(err, repo.ErrExists) {
		return err
	}
	return fmt.Errorf("a repository is already there. If it is to be managed here, import it:\n\n  terraform import ADDRESS '%s'", at)
}

// create writes the repository, with its lock. Where the lock cannot be, neither is
// the repository.
func (r *Resource) create(ctx context.Context, at location.Location, opts repo.CreateOptions, w wish) (*repo.Repository, error) {
	store, err := r.conn.OpenStore(ctx, at, true)
	if err != nil {
		return nil, err
	}
	created, err := repo.Create(ctx, store, opts)
	if err != nil || w.lock.IsZero() {
		return created, err
	}
	if err := created.SetProtection(ctx, w.lock, time.Now(), r.conn.Envelope().By); err != nil {
		_, undone := created.Destroy(ctx, nil)
		return nil, errors.Join(err, undone)
	}
	return created, nil
}

func (m *model) describe(r *repo.Repository) {
	m.RepositoryID = types.StringValue(r.ID())
	m.Sealed = types.BoolValue(r.Sealed())
	m.Created = types.StringValue(r.Created().UTC().Format(time.RFC3339))
}

// Read says that a repository is gone only where its place can be read and
// repository.json is not there; a place that does not answer keeps the state.
func (r *Resource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m model
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	id, fresh := m.ID.ValueString(), m.RepositoryID.IsNull()
	at, err := location.Parse(id)
	var opened connection.Opened
	if err == nil {
		opened, err = r.conn.OpenRepository(ctx, at, "")
	}
	switch {
	case err != nil && fresh: // right after an import
		resp.Diagnostics.AddError(summary("importing", id), valid.Sentence(err))
		return
	case errors.Is(err, repo.ErrNoRepository):
		resp.Diagnostics.AddWarning(fmt.Sprintf("pgbackup_repository (%s) is gone: it will be created anew", id), valid.Sentence(err))
		resp.State.RemoveResource(ctx)
		return
	case errors.Is(err, objstore.ErrNoBucket) && r.made(ctx, m, at):
		resp.Diagnostics.AddWarning(fmt.Sprintf("pgbackup_repository (%s) is gone with its bucket: both will be created anew", id), valid.Sentence(err))
		resp.State.RemoveResource(ctx)
		return
	case err != nil:
		resp.Diagnostics.AddWarning(unreadable(id, err), valid.Sentence(err))
		return
	}
	if !fresh && opened.ID() != m.RepositoryID.ValueString() {
		resp.Diagnostics.AddWarning(fmt.Sprintf("pgbackup_repository (%s) is another repository than before", id),
			fmt.Sprintf("It was %s and is now %s: something else was put in its place.", m.RepositoryID.ValueString(), opened.ID()))
	}
	if m.Sealed.ValueBool() && !opened.Sealed() && opened.ID() == m.RepositoryID.ValueString() {
		resp.Diagnostics.AddError(fmt.Sprintf("pgbackup_repository (%s) says that it is not encrypted any more", id),
			"Its repository.json was replaced: an encrypted repository never becomes one that is not. Points in it may be forged, and runners without key_ref would write backups in clear. "+
				"Restore repository.json from an older version of the object or from the replica, find out who could write there, and trust nothing that was written since.")
		return
	}
	if m.Encryption.IsNull() == opened.Sealed() {
		ref := ""
		if opened.Sealed() && len(opened.References) > 0 {
			ref = opened.References[0]
		}
		resp.Diagnostics.Append(m.setKeyRef(ctx, ref)...)
	}
	m.describe(opened.Repository)
	resp.Diagnostics.Append(r.readBucket(ctx, &m, at, fresh)...)
	resp.Diagnostics.Append(r.readRules(ctx, &m, at, fresh)...)
	resp.Diagnostics.Append(r.readLock(ctx, &m, at, opened.Repository)...)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

// made reports whether the bucket is one that pgbackup made on AWS, whose word for
// it that it is gone can be taken. Elsewhere, and of a bucket that is only used, a
// wrong endpoint says the same.
func (r *Resource) made(ctx context.Context, m model, at location.Location) bool {
	w, known, _ := m.wish(ctx, r.conn, at)
	return known && w.create && r.conn.OnAWS(at)
}

// unreadable is the summary of a repository that cannot be read, with what
// follows from that: a plan says "No changes" beside it.
func unreadable(id string, err error) string {
	what := "cannot be read from here"
	switch {
	case errors.Is(err, objstore.ErrNoBucket):
		what = "is not there, so that no backup, restore or rotation can run"
	case errors.Is(err, repo.ErrDamaged):
		what = "is damaged, so that no backup, restore or rotation can run"
	}
	return fmt.Sprintf("pgbackup_repository (%s) %s; its state is kept as it was", id, what)
}

func (r *Resource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan, state model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	at, known, diags := plan.place(ctx, r.conn)
	resp.Diagnostics.Append(diags...)
	before, diags := state.keyRef(ctx)
	resp.Diagnostics.Append(diags...)
	after, diags := plan.keyRef(ctx)
	resp.Diagnostics.Append(diags...)
	_, declared, diags := state.declaredRules(ctx, at.Prefix)
	resp.Diagnostics.Append(diags...)
	rules, declares, diags := plan.declaredRules(ctx, at.Prefix)
	resp.Diagnostics.Append(diags...)
	was, _, diags := state.wish(ctx, r.conn, at)
	resp.Diagnostics.Append(diags...)
	w, knownWish, diags := plan.wish(ctx, r.conn, at)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	if !known || !knownWish {
		resp.Diagnostics.AddError(summary("updating", state.ID.ValueString()), valid.Sentence(connection.ErrUnknown))
		return
	}
	plan.ID = types.StringValue(at.String())
	var lacking []string
	opened, err := r.conn.OpenRepository(ctx, at, "")
	if err == nil && opened.ID() != state.RepositoryID.ValueString() {
		err = fmt.Errorf("at %s is repository %s, not %s: the new region or endpoint leads to another bucket of that name", at, opened.ID(), state.RepositoryID.ValueString())
	}
	if err == nil && before != after {
		err = r.addKey(ctx, at, before, after)
	}
	if err == nil {
		lacking, diags = r.rebuild(ctx, at, was, w, state)
		resp.Diagnostics.Append(diags...)
	}
	if err == nil && !resp.Diagnostics.HasError() && was.lock != w.lock {
		err = opened.SetProtection(ctx, w.lock, time.Now(), r.conn.Envelope().By)
	}
	if err == nil && !resp.Diagnostics.HasError() && (declares || declared) {
		err = r.applyRules(ctx, at, rules)
	}
	if err != nil {
		resp.Diagnostics.AddError(summary("updating", at.String()), valid.Sentence(err))
	}
	if resp.Diagnostics.HasError() {
		return
	}
	plan.describe(opened.Repository)
	resp.Diagnostics.Append(r.settle(ctx, &plan, at, w, lacking)...)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
}

// addKey lets the key behind a new reference open the repository too. A key the
// repository knows already, under that reference, is left as it is.
func (r *Resource) addKey(ctx context.Context, at location.Location, before, after string) error {
	opened, err := r.conn.OpenRepository(ctx, at, after)
	if err == nil {
		for _, known := range opened.References {
			if known == after {
				return nil
			}
		}
	}
	if errors.Is(err, seal.ErrWrongKey) { // new to the repository: the old one lets it in
		if opened, err = r.conn.OpenRepository(ctx, at, before); err != nil {
			return fmt.Errorf("add the key %s: the present key is needed for it: %w", after, err)
		}
	}
	if err != nil {
		return err
	}
	key, err := r.conn.Secrets().Key(ctx, after)
	if err != nil {
		return err
	}
	return opened.AddKey(ctx, key, after, time.Now())
}

func (r *Resource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m model
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	id := m.ID.ValueString()
	at, err := location.Parse(id)
	if err != nil {
		resp.Diagnostics.AddError(summary("deleting", id), valid.Sentence(err))
		return
	}
	resp.Diagnostics.Append(r.destroy(ctx, at, m)...)
}

func (r *Resource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	at, err := location.Parse(req.ID)
	if err != nil {
		resp.Diagnostics.AddError(summary("importing", req.ID), valid.Sentence(err))
		return
	}
	for where, value := range imported(at, r.conn) {
		resp.Diagnostics.Append(resp.State.SetAttribute(ctx, where, value)...)
	}
}
