package provider

import (
	"context"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	fwprovider "github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// httpURL is what an endpoint begins with; the rest is the SDK's to judge.
var httpURL = regexp.MustCompile(`^https?://[^/]+`)

var (
	account = regexp.MustCompile(`^[0-9]{12}$`)
	roleARN = regexp.MustCompile(`^arn:[a-z0-9-]+:iam::[0-9]{12}:role/.+$`)
	product = regexp.MustCompile(`^[!#$%&'*+.^_|~0-9A-Za-z-]+(/[!#$%&'*+.^_|~0-9A-Za-z-]+)?$`)
)

// services are those of AWS whose endpoint can be set: the attribute, the id the
// SDK has for it, and what it is called.
var services = []struct{ attribute, id, name string }{
	{"cloudwatch", "CloudWatch", "CloudWatch"}, {"ecs", "ECS", "ECS"}, {"iam", "IAM", "IAM"}, {"kms", "KMS", "KMS"}, {"lambda", "Lambda", "Lambda"},
	{"logs", "CloudWatch Logs", "CloudWatch Logs"}, {"rds", "RDS", "RDS"}, {"scheduler", "Scheduler", "EventBridge Scheduler"},
	{"secretsmanager", "Secrets Manager", "Secrets Manager"}, {"sns", "SNS", "SNS"}, {"sqs", "SQS", "SQS"}, {"ssm", "SSM", "Systems Manager"}, {"sts", "STS", "STS"},
}

func (p *pgbackup) Schema(_ context.Context, _ fwprovider.SchemaRequest, resp *fwprovider.SchemaResponse) {
	attributes := map[string]schema.Attribute{
		"region": schema.StringAttribute{
			Optional:            true,
			MarkdownDescription: "AWS region of buckets and other things that name none themselves, such as `eu-west-1`. Without it the usual AWS chain decides: `AWS_REGION`, then the profile.",
		},
		"assume_role": roleAttribute("IAM role to take on before anything in AWS is read or written. It is used by Terraform alone; a runner has credentials of its own.", map[string]schema.Attribute{
			"external_id":         text("External id that the role's trust policy asks for, such as `acme-backups`. Defaults to none."),
			"source_identity":     text("Source identity of the session, as CloudTrail shows it, such as `jane`. Defaults to none."),
			"tags":                schema.MapAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Session tags, such as `{ team = \"platform\" }`."},
			"transitive_tag_keys": schema.SetAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Keys of `tags` that are handed on to roles taken on from this one, such as `[\"team\"]`."},
		}),
		"assume_role_with_web_identity": roleAttribute("IAM role to take on with the token of a web identity, such as that of a workflow in GitHub Actions. Used before `assume_role`, where both are given.", map[string]schema.Attribute{
			"web_identity_token_file": schema.StringAttribute{Required: true, MarkdownDescription: "Path of the file with the token, such as `/var/run/secrets/token`. The token itself has no place in a configuration."},
		}),
		"endpoints": endpointsAttribute(),
		"default_tags": schema.SingleNestedAttribute{
			Optional:            true,
			MarkdownDescription: "Tags of everything that is made in AWS. A resource's own tags win.",
			Attributes: map[string]schema.Attribute{
				"tags": schema.MapAttribute{Optional: true, ElementType: types.StringType, Validators: []validator.Map{valid.Tags()}, MarkdownDescription: "The tags, such as `{ team = \"platform\" }`."},
			},
		},
		"s3_use_path_style": schema.BoolAttribute{
			Optional:            true,
			MarkdownDescription: "Put the name of the bucket into the path of requests instead of the host name. Defaults to `true` where an endpoint is given, `false` otherwise.",
		},
		"runner_path": schema.StringAttribute{
			Optional:            true,
			MarkdownDescription: "Program `pgbackup-runner` for Linux to use instead of the builds this provider carries, or a folder with one program `pgbackup-runner*` for each architecture. The architecture is read from the programs. Needed with a provider that was built without runners.",
		},
		"storage_prices_usd": schema.MapAttribute{
			Optional: true, ElementType: types.Float64Type,
			MarkdownDescription: "Prices to estimate the cost of storage with, in USD per GB and month by storage class, such as `{ STANDARD = 0.021 }`: what was agreed with AWS, or what another S3-compatible service charges. " +
				"Defaults to AWS's list prices, also for other services, where they are for comparison.",
		},
		"max_retries": schema.Int64Attribute{
			Optional:            true,
			MarkdownDescription: "How often a call to AWS is tried again when AWS is busy or limits the calls, such as `10`. Defaults to `25`, and to `5` where `endpoints` has `s3`.",
			Validators:          []validator.Int64{int64validator.Between(1, 100)},
		},
		"retry_mode": schema.StringAttribute{
			Optional:            true,
			MarkdownDescription: "`standard`, or `adaptive`, which slows down by itself when AWS limits the calls. Defaults to `AWS_RETRY_MODE`, then `standard`.",
			Validators:          []validator.String{stringvalidator.OneOf("standard", "adaptive")},
		},
		"allowed_account_ids":   accountsAttribute("The only AWS accounts to work in, such as `[\"111122223333\"]`; with credentials of another one everything fails.", "forbidden_account_ids"),
		"forbidden_account_ids": accountsAttribute("AWS accounts never to work in, such as `[\"111122223333\"]`.", "allowed_account_ids"),
		"user_agent": schema.ListAttribute{
			Optional: true, ElementType: types.StringType,
			MarkdownDescription: "Products to name in the `User-Agent` of every call to AWS, each `name` or `name/version`, such as `[\"acme-platform/4\"]`.",
			Validators:          []validator.List{listvalidator.ValueStringsAre(stringvalidator.RegexMatches(product, "must be name or name/version, without spaces"))},
		},
		"skip_credentials_validation": flag("Do not ask STS whether the credentials are good before services other than S3 are used. For emulators that have no STS."),
		"skip_metadata_api_check":     flag("Do not look for credentials and region at the metadata service of an EC2 instance. Saves seconds where there is none."),
		"skip_region_validation":      flag("Take `region` as it is, for regions that are newer than this provider."),
		"insecure":                    flag("Accept any certificate of a server. For tests alone: whoever is in between can read and change everything."),
		"use_dualstack_endpoint":      flag("Use the endpoints of AWS that answer over IPv6 too."),
		"use_fips_endpoint":           flag("Use the endpoints of AWS with FIPS 140 validated cryptography."),
	}
	for name, description := range map[string]string{
		"profile":          "Profile of the shared AWS configuration (`~/.aws/config`) to use. Without it the usual AWS chain decides: environment, `AWS_PROFILE`, web identity, container and instance roles.",
		"custom_ca_bundle": "Path of a PEM file with certificates to trust besides the system's, such as `/etc/ssl/acme.pem`. Defaults to `AWS_CA_BUNDLE`.",
		"http_proxy":       "Proxy for calls over HTTP, such as `http://proxy.example.org:3128`. Defaults to `HTTP_PROXY`.",
		"https_proxy":      "Proxy for calls over HTTPS, such as `http://proxy.example.org:3128`. Defaults to `HTTPS_PROXY`.",
		"no_proxy":         "Hosts to reach without a proxy, separated by commas, such as `169.254.169.254,.example.org`. Defaults to `NO_PROXY`.",
		"sts_region":       "Region whose STS gives the credentials of roles, such as `us-east-1`. Defaults to `region`.",
	} {
		attributes[name] = text(description)
	}
	for name, description := range map[string]string{
		"shared_config_files":      "Paths of files to read instead of `~/.aws/config`, such as `[\"/etc/aws/config\"]`.",
		"shared_credentials_files": "Paths of files to read instead of `~/.aws/credentials`, such as `[\"/etc/aws/credentials\"]`.",
	} {
		attributes[name] = schema.ListAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: description, Validators: []validator.List{listvalidator.SizeAtLeast(1)}}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "Declares what of PostgreSQL must be recoverable, for how long and from where, and carries the program that does the work, `pgbackup-runner`, to where it runs. " +
			"Access to AWS is configured as in the AWS provider; credentials themselves have no place in a configuration.",
		Attributes: attributes,
	}
}

func text(description string) schema.StringAttribute {
	return schema.StringAttribute{Optional: true, MarkdownDescription: description, Validators: []validator.String{stringvalidator.LengthAtLeast(1)}}
}

func flag(description string) schema.BoolAttribute {
	return schema.BoolAttribute{Optional: true, MarkdownDescription: description + " Defaults to `false`."}
}

func accountsAttribute(description, other string) schema.SetAttribute {
	return schema.SetAttribute{
		Optional: true, ElementType: types.StringType, MarkdownDescription: description + " Not together with `" + other + "`.",
		Validators: []validator.Set{
			setvalidator.SizeAtLeast(1), setvalidator.ValueStringsAre(stringvalidator.RegexMatches(account, "must be the twelve digits of an account")),
			setvalidator.ConflictsWith(path.MatchRoot(other)),
		},
	}
}

// roleAttribute is a role to take on, with what is special about the way.
func roleAttribute(description string, special map[string]schema.Attribute) schema.SingleNestedAttribute {
	attributes := map[string]schema.Attribute{
		"role_arn": schema.StringAttribute{
			Required:            true,
			MarkdownDescription: "ARN of the role, such as `arn:aws:iam::111122223333:role/backup-admin`.",
			Validators:          []validator.String{stringvalidator.RegexMatches(roleARN, "must be the ARN of a role, such as arn:aws:iam::111122223333:role/backup-admin")},
		},
		"session_name": text("Name of the session as it appears in CloudTrail, such as `terraform`. Made up when not given."),
		"duration": schema.StringAttribute{
			Optional:            true,
			MarkdownDescription: "How long the credentials stay valid, `15m` to `12h`. Defaults to `1h`.",
			Validators:          []validator.String{valid.ExactDuration()},
		},
		"policy":      text("IAM policy, as JSON, that narrows what the session may do, such as `file(\"session-policy.json\")`. Defaults to all the role may."),
		"policy_arns": schema.SetAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "ARNs of IAM policies that narrow what the session may do, such as `[\"arn:aws:iam::aws:policy/ReadOnlyAccess\"]`."},
	}
	for name, attribute := range special {
		attributes[name] = attribute
	}
	return schema.SingleNestedAttribute{Optional: true, MarkdownDescription: description, Attributes: attributes}
}

func endpointsAttribute() schema.SingleNestedAttribute {
	isURL := []validator.String{stringvalidator.RegexMatches(httpURL, "must be a URL that begins with http:// or https://")}
	attributes := map[string]schema.Attribute{
		"s3": schema.StringAttribute{
			Optional:            true,
			MarkdownDescription: "URL of an S3-compatible service, such as `https://minio.example.org`. Used by repositories that name no `endpoint` themselves. Buckets then stand in the path of requests.",
			Validators:          isURL,
		},
	}
	for _, s := range services {
		attributes[s.attribute] = schema.StringAttribute{
			Optional: true, Validators: isURL,
			MarkdownDescription: "URL to use for " + s.name + ", such as `http://localhost:4566`. Defaults to AWS's, or to what `AWS_ENDPOINT_URL` says.",
		}
	}
	return schema.SingleNestedAttribute{Optional: true, MarkdownDescription: "URLs to use instead of those of AWS: of an S3-compatible service, a VPC endpoint, or an emulator.", Attributes: attributes}
}
