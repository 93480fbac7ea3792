package repository

import (
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

type s3Model struct {
	Bucket          types.String `tfsdk:"bucket"`
	Prefix          types.String `tfsdk:"prefix"`
	Region          types.String `tfsdk:"region"`
	Endpoint        types.String `tfsdk:"endpoint"`
	CreateBucket    types.Bool   `tfsdk:"create_bucket"`
	KMSKeyID        types.String `tfsdk:"kms_key_id"`
	DenyUnencrypted types.Bool   `tfsdk:"deny_unencrypted"`
	ObjectLock      types.Object `tfsdk:"object_lock"`
	Replica         types.Object `tfsdk:"replica"`
	Tags            types.Map    `tfsdk:"tags"`
	Lifecycle       types.Object `tfsdk:"lifecycle"`
}

type objectLockModel struct {
	Mode        types.String `tfsdk:"mode"`
	Days        types.Int64  `tfsdk:"days"`
	Acknowledge types.Bool   `tfsdk:"acknowledge_compliance"`
}

type replicaModel struct {
	Bucket       types.String `tfsdk:"bucket"`
	Region       types.String `tfsdk:"region"`
	CreateBucket types.Bool   `tfsdk:"create_bucket"`
	RoleARN      types.String `tfsdk:"role_arn"`
	KMSKeyID     types.String `tfsdk:"kms_key_id"`
	StorageClass types.String `tfsdk:"storage_class"`
}

var (
	prefixPattern = regexp.MustCompile(`^[^/]+(/[^/]+)*$`)
	bucketPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	keyPattern    = regexp.MustCompile(`^arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:key/.+$`)
	rolePattern   = regexp.MustCompile(`^arn:[a-z-]+:iam::\d{12}:role/.+$`)
)

const keyForm = "give the ARN of a KMS key, such as aws_kms_key.backups.arn: neither an alias nor an id alone"

// replicaClasses are the storage classes that copies can be made in.
var replicaClasses = []string{"STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"}

func s3Attribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional: true,
		MarkdownDescription: "Keep the repository in a bucket of Amazon S3 or of a service compatible with it, which is made and protected here, or exists (`create_bucket = false`). " +
			"Exactly one of `directory` and `s3` is given.",
		Attributes: map[string]schema.Attribute{
			"bucket": schema.StringAttribute{
				Required:            true,
				MarkdownDescription: "Name of the bucket. Changing it replaces the repository.",
			},
			"prefix": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "What the keys of all objects begin with, without slashes at its ends, such as `prod`. Defaults to the whole bucket. Changing it replaces the repository.",
				Validators:          []validator.String{stringvalidator.RegexMatches(prefixPattern, "must not be empty, nor begin or end with a slash, nor hold two in a row")},
			},
			"region": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Region of the bucket, such as `eu-west-1`. Defaults to the `region` of the provider, then to the usual AWS chain of whoever uses the repository.",
			},
			"endpoint": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: "URL of an S3-compatible service, such as `https://minio.example.org`. Defaults to `endpoints.s3` of the provider, then to AWS. " +
					"What such a service lacks of the usual protections is a warning that names it; on AWS it is an error.",
			},
			"create_bucket": schema.BoolAttribute{
				Optional: true, Computed: true, Default: booldefault.StaticBool(true),
				MarkdownDescription: "Make the bucket and keep it protected: versioning, encryption, no public access, `BucketOwnerEnforced`, and a policy that refuses connections without TLS, beside the statements of others, which stay as they are. Each is read back, and put right when somebody changes it. " +
					"A bucket of that name that pgbackup did not make is refused. With `false` the bucket exists and stays as it is: what it lacks is a warning with the fix, and only the repository's own lifecycle and replication rules are written. " +
					"Of several repositories in one bucket, one makes it. To have pgbackup look after a bucket that is used already, import the repository or apply with `false`, then say `true`. Defaults to `true`.",
			},
			"kms_key_id": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "ARN of the KMS key that the bucket encrypts with (SSE-KMS with a bucket key). Defaults to SSE-S3. It protects the disks of AWS; `encryption` of the repository protects from whoever reads the bucket. Needs `create_bucket`.",
				Validators:          []validator.String{stringvalidator.RegexMatches(keyPattern, keyForm)},
			},
			"deny_unencrypted": schema.BoolAttribute{
				Optional: true, Computed: true, Default: booldefault.StaticBool(false),
				MarkdownDescription: "Refuse uploads that ask for another encryption than the bucket's, by its policy: another KMS key, or a key of the sender's own (SSE-C), by which backups can be taken hostage. Uploads that ask for none get the bucket's. Needs `create_bucket`. Defaults to `false`.",
			},
			"object_lock": objectLockAttribute(),
			"replica":     replicaAttribute(),
			"tags": schema.MapAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Tags of the bucket, beside the provider's `default_tags` and those by which pgbackup knows what it made. Tags of others stay. Needs `create_bucket`.",
				Validators:          []validator.Map{valid.Tags()},
			},
			"lifecycle": lifecycleAttribute(),
		},
	}
}

func objectLockAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional: true,
		MarkdownDescription: "Lock every recovery point with S3 Object Lock, so that nobody can delete it before its time, neither by mistake nor with stolen credentials. The bucket is made for it; one that exists must have Object Lock already. " +
			"Retention keeps a point while it is locked, and locks longer what it keeps longer. Without `object_lock`, new points are not locked any more; what is locked stays so.",
		Attributes: map[string]schema.Attribute{
			"mode": schema.StringAttribute{
				Required: true, Validators: []validator.String{stringvalidator.OneOf("GOVERNANCE", "COMPLIANCE")},
				MarkdownDescription: "`GOVERNANCE`: who has `s3:BypassGovernanceRetention` can end a lock. `COMPLIANCE`: nobody can, not even the account's root user, and the storage is paid for until the end.",
			},
			"days": schema.Int64Attribute{
				Required: true, Validators: []validator.Int64{int64validator.Between(1, 36500)},
				MarkdownDescription: "Days from the backup on, at least. Not longer than the shortest time for which the policy keeps a point, or retention waits for the lock.",
			},
			"acknowledge_compliance": schema.BoolAttribute{
				Optional: true, Computed: true, Default: booldefault.StaticBool(false),
				MarkdownDescription: "Must be `true` for `COMPLIANCE`: what is written in that mode cannot be deleted by anybody before its time, and neither can the bucket. Defaults to `false`.",
			},
		},
	}
}

func replicaAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional: true,
		MarkdownDescription: "Have S3 copy everything into a bucket of another region as it is written. The copy is a repository that restores like the first: `replica_id` is its URL. " +
			"What was there before is not copied, and deletions are not: what is deleted here, by retention, by mistake or by an intruder, stays in the replica until a job that rotates `replica_id` removes it. Removing `replica` ends the copying and leaves the copies.",
		Attributes: map[string]schema.Attribute{
			"bucket": schema.StringAttribute{
				Required: true, Validators: []validator.String{stringvalidator.RegexMatches(bucketPattern, "must be 3 to 63 lower-case letters, digits, hyphens and dots")},
				MarkdownDescription: "Name of the bucket to copy into.",
			},
			"region": schema.StringAttribute{
				Required: true, Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
				MarkdownDescription: "Its region, which is not that of the repository.",
			},
			"create_bucket": schema.BoolAttribute{
				Optional: true, Computed: true, Default: booldefault.StaticBool(true),
				MarkdownDescription: "Make that bucket and keep it protected like the first one; with `false` it exists, and must have versioning, and Object Lock where the repository has it. Defaults to `true`.",
			},
			"role_arn": schema.StringAttribute{
				Optional: true, Validators: []validator.String{stringvalidator.RegexMatches(rolePattern, "give the ARN of an IAM role")},
				MarkdownDescription: "ARN of the role that S3 copies with, such as `arn:aws:iam::111122223333:role/replicate`. Defaults to one that is made for it and may do nothing else. All replication rules of a bucket share one role: where others have some, give theirs.",
			},
			"kms_key_id": schema.StringAttribute{
				Optional: true, Validators: []validator.String{stringvalidator.RegexMatches(keyPattern, keyForm)},
				MarkdownDescription: "ARN of the KMS key in the replica's region to encrypt the copies with. Must be given when `s3.kms_key_id` is.",
			},
			"storage_class": schema.StringAttribute{
				Optional: true, Validators: []validator.String{stringvalidator.OneOf(replicaClasses...)},
				MarkdownDescription: "Storage class of the copies, such as `STANDARD_IA`. Defaults to that of the original.",
			},
		},
	}
}
