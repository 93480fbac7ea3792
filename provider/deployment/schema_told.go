package deployment

import (
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

func metricsAttribute() schema.StringAttribute {
	return schema.StringAttribute{
		Optional: true,
		MarkdownDescription: "Where the numbers of each run go that `pgbackup_alarm` watches. `emf`: into the log, in CloudWatch's embedded metric format, for places whose log reaches CloudWatch; costs no permission. " +
			"`cloudwatch`: the runner calls PutMetricData, which needs credentials with that permission. Defaults to `emf` on Fargate and Lambda and to none elsewhere: without them no alarm notices that a job is overdue.",
		Validators: []validator.String{stringvalidator.OneOf(string(job.MetricsEMF), string(job.MetricsCloudWatch))},
	}
}

func notificationsAttribute() schema.ListNestedAttribute {
	url := SecretRef("Where the runner finds the URL, such as `secretsmanager:acme/slack`. Whoever knows it can write there, so that it counts as a secret and is never given itself.")
	url.Required, url.Optional = true, false
	return schema.ListNestedAttribute{
		Optional:            true,
		MarkdownDescription: "Who is told of a run. A notification that cannot be delivered makes a warning (exit code 3), never a failed backup.",
		Validators:          []validator.List{listvalidator.SizeAtLeast(1)},
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"channel": schema.StringAttribute{
				Required: true,
				MarkdownDescription: "`slack`: an incoming webhook of Slack. `webhook`: a POST of a JSON document, signed when `secret_ref` is given. " +
					"`ping`: a dead man's switch as healthchecks.io has it, with a request to the URL, to URL`/start` and to URL`/fail`.",
				Validators: []validator.String{stringvalidator.OneOf(string(job.ChannelSlack), string(job.ChannelWebhook), string(job.ChannelPing))},
			},
			"url_ref":    url,
			"secret_ref": SecretRef("Where the runner finds the key by which a `webhook` is signed: header `X-Pgbackup-Signature`, HMAC-SHA256 of the time in `X-Pgbackup-Timestamp`, a dot and the body."),
			"on": schema.ListAttribute{
				ElementType: types.StringType, Optional: true,
				MarkdownDescription: "When: any of `start`, `success`, `warning` and `failure`. Defaults to `warning` and `failure` for `slack`, to all but `start` for `webhook`, and to all for `ping`.",
				Validators: []validator.List{listvalidator.SizeAtLeast(1), listvalidator.UniqueValues(), listvalidator.ValueStringsAre(
					stringvalidator.OneOf(string(job.OnStart), string(job.OnSuccess), string(job.OnWarning), string(job.OnFailure)))},
			},
		}},
	}
}

func tagsAttribute(w Words) schema.MapAttribute {
	return schema.MapAttribute{
		ElementType: types.StringType, Optional: true,
		MarkdownDescription: "Tags of everything that is made in AWS for this " + w.Noun + ", besides the provider's `default_tags`, over which they win. Tags of the name `pgbackup:…` are set by the provider.",
		Validators:          []validator.Map{valid.Tags()},
	}
}
