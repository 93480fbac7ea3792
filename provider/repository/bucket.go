package repository

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/bucket"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// build makes and protects what the s3 block asks for, or looks over a bucket that
// is only used. known: the bucket is in the state as one of ours, or its owner has
// said that it is to be. Everything in it can be done again.
// lacking names the protections that the server does not offer.
func (r *Resource) build(ctx context.Context, at location.Location, w wish, known bool) (lacking []string, diags diag.Diagnostics) {
	if at.IsDirectory() {
		return nil, nil
	}
	b, _, err := r.conn.Bucket(ctx, at)
	if err == nil && w.create {
		lacking, err = r.care(ctx, b, w.bucket, w.tags, known)
	}
	if err == nil && w.replica != nil {
		var others []string
		others, err = r.replicate(ctx, b, at, w)
		for _, name := range others {
			lacking = append(lacking, ofReplica+name)
		}
	}
	if err != nil {
		diags.AddError(summary("making the bucket of", at.String()), valid.Sentence(err))
	}
	if len(lacking) > 0 {
		slices.Sort(lacking)
		diags.AddWarning(fmt.Sprintf("pgbackup_repository (%s): its server does not offer %s of a bucket", at, strings.Join(lacking, ", ")),
			fmt.Sprintf("%s is not on AWS, and its server refused to set them. Protect the bucket by the server's own means. Terraform does not ask again until s3 changes.", b))
	}
	return lacking, diags
}

// rebuild brings what the state says to what is wished now. Repeating all of it
// repairs what somebody changed.
func (r *Resource) rebuild(ctx context.Context, at location.Location, was, w wish, state model) (lacking []string, diags diag.Diagnostics) {
	if at.IsDirectory() {
		return nil, nil
	}
	if err := r.refuseReplica(ctx, at, w, state.RepositoryID.ValueString()); err != nil {
		diags.AddError(summary("updating", at.String()), valid.Sentence(err))
		return nil, diags
	}
	if was.create != w.create || was.lock != w.lock {
		diags.Append(r.lookOver(ctx, at, w)...)
	}
	if !diags.HasError() {
		var d diag.Diagnostics
		lacking, d = r.build(ctx, at, w, true)
		diags.Append(d...)
	}
	if diags.HasError() {
		return nil, diags
	}
	b, _, err := r.conn.Bucket(ctx, at)
	if err == nil && w.create {
		err = r.dropTags(ctx, b, state, w)
	}
	if err == nil && was.create && !w.create {
		err = r.letGo(ctx, b)
	}
	switch {
	case err != nil:
	case was.replica != nil && w.replica == nil:
		err = r.endReplication(ctx, at, was.replica.role)
	case was.replica != nil && was.replica.role == "" && w.replica.role != "":
		err = r.removeRole(ctx, at)
	}
	if err != nil {
		diags.AddError(summary("updating", at.String()), valid.Sentence(err))
	}
	if was.replica != nil && (w.replica == nil || w.replica.at.Bucket != was.replica.at.Bucket) {
		diags.AddWarning(fmt.Sprintf("pgbackup_repository (%s): nothing is copied into %s any more", at, was.replica.at), "The copies and the bucket stay. Nothing more is done with them here.")
	}
	return lacking, diags
}

// dropTags takes tags away that were declared once.
func (r *Resource) dropTags(ctx context.Context, b *bucket.Bucket, state model, w wish) error {
	before, _ := textsOf(state.TagsAll)
	maps.DeleteFunc(before, func(key, _ string) bool { _, still := w.tags[key]; return still })
	if len(before) == 0 {
		return nil
	}
	defer r.conn.Lock("bucket " + b.Name())()
	return b.SetTags(ctx, nil, slices.Sorted(maps.Keys(before)))
}

// letGo takes the marks off a bucket that pgbackup no longer looks after. Its
// protections stay.
func (r *Resource) letGo(ctx context.Context, b *bucket.Bucket) error {
	defer r.conn.Lock("bucket " + b.Name())()
	err := b.SetTags(ctx, nil, []string{awsapi.TagManagedBy, awsapi.TagName, awsapi.TagRepository, bucket.TagMadeBy})
	if errors.Is(err, bucket.ErrLacking) {
		return nil
	}
	return err
}

// care makes a bucket and protects it, or puts right one of ours. lacking names what
// its server does not offer.
func (r *Resource) care(ctx context.Context, b *bucket.Bucket, w bucket.Wish, tags map[string]string, known bool) (lacking []string, err error) {
	defer r.conn.Lock("bucket " + b.Name())()
	if _, err := b.Make(ctx, bucket.Making{Tags: tags, ObjectLock: w.ObjectLock, Known: known}); err != nil {
		return nil, err
	}
	// The mark of whose it is comes first, so that what dies after it is known.
	switch err := b.SetTags(ctx, tags, nil); {
	case errors.Is(err, bucket.ErrLacking):
		lacking = append(lacking, "tags")
	case err != nil:
		return nil, err
	}
	names, err := b.Protect(ctx, w)
	return append(lacking, names...), err
}

// lookOver warns of what a bucket lacks that is used and not looked after. It
// changes nothing, and fails for nothing but a lock that could not be.
func (r *Resource) lookOver(ctx context.Context, at location.Location, w wish) (diags diag.Diagnostics) {
	if at.IsDirectory() || w.create {
		return nil
	}
	b, _, err := r.conn.Bucket(ctx, at)
	if err != nil {
		return nil // the repository itself tells
	}
	found, err := b.Protections(ctx)
	switch {
	case errors.Is(err, awsapi.ErrGone):
		diags.AddError(summary("creating", at.String()), fmt.Sprintf("There is no bucket %s, and create_bucket is false. Correct the name, region or endpoint, or let pgbackup make it with create_bucket = true.", at.Bucket))
		return diags
	case err != nil:
		diags.AddWarning(fmt.Sprintf("pgbackup_repository (%s): what protects its bucket could not be read", at), valid.Sentence(err))
		return diags
	}
	if w.bucket.ObjectLock && !bucket.Locks(found[bucket.ObjectLock]) && found[bucket.ObjectLock] != bucket.Unreadable {
		diags.AddError(summary("creating", at.String()), valid.Sentence(b.NoLock(found[bucket.ObjectLock])))
		return diags
	}
	lacks := missing(found)
	if len(lacks) == 0 {
		return diags
	}
	var fixes []string
	for _, name := range lacks {
		fixes = append(fixes, fmt.Sprintf("%s is %q: %s", name, found[name], fix[name]))
	}
	diags.AddWarning(fmt.Sprintf("pgbackup_repository (%s): its bucket lacks %s", at, strings.Join(lacks, ", ")),
		fmt.Sprintf("create_bucket is false, so that nothing of it is changed. Where the bucket is made:\n\n- %s\n\nOr set create_bucket = true, and pgbackup does all of it.", strings.Join(fixes, "\n- ")))
	return diags
}

// fix says what to do about a protection that a bucket lacks.
var fix = map[string]string{
	bucket.Versioning:   "enable it (aws_s3_bucket_versioning), so that what is deleted or overwritten can be brought back",
	bucket.Encryption:   "set a default (aws_s3_bucket_server_side_encryption_configuration)",
	bucket.PublicAccess: "block it all (aws_s3_bucket_public_access_block)",
	bucket.Ownership:    "set BucketOwnerEnforced (aws_s3_bucket_ownership_controls), so that access is by policy alone",
	bucket.Transport:    "deny requests with aws:SecureTransport = false (aws_s3_bucket_policy)",
}

// missing names the usual protections that a bucket does not have and could have.
func missing(found bucket.Protections) (names []string) {
	weak := map[string]func(state string) bool{
		bucket.Versioning:   func(s string) bool { return s != bucket.On },
		bucket.Encryption:   func(s string) bool { return s == bucket.Off },
		bucket.PublicAccess: func(s string) bool { return s != bucket.Blocked },
		bucket.Ownership:    func(s string) bool { return s != "BucketOwnerEnforced" },
		bucket.Transport:    func(s string) bool { return s == bucket.AnyConn },
	}
	for _, name := range slices.Sorted(maps.Keys(weak)) {
		if s := found[name]; s != bucket.NotOffered && s != bucket.Unreadable && weak[name](s) {
			names = append(names, name)
		}
	}
	return names
}
