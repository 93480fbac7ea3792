package policy

import (
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/storageclass"
)

// storageSchema is what a policy says about the stored objects.
func storageSchema() schema.SingleNestedAttribute {
	classes := map[string]schema.Attribute{}
	for _, tier := range retention.Tiers() {
		classes[tier] = class("Storage class of `" + tier + "` points: new points are uploaded to it when this is the shortest tier that the rules tell apart; otherwise a lifecycle rule moves a point to it a day after it became a `" + tier + "` one. Defaults to `class`.")
	}
	// What may stand here together is the document's to say, with the attribute.
	after := span("Age from which on a point is in this class, such as `90d`: whole days.")
	after.Required, after.Optional = true, false
	to := class("Storage class to go to, such as `GLACIER`: one further down than where the points are by then.")
	to.Required, to.Optional = true, false
	return schema.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: "What applies to the stored objects themselves. Storage classes mean something in S3 only. A point is of the tier of the longest rule that keeps it and whose period is over: `" + strings.Join(retention.Tiers(), "`, `") + "`. Until one is, it is of the shortest tier that the rules tell apart.",
		Attributes: map[string]schema.Attribute{
			"class": class("Storage class new points are uploaded to: `" + strings.Join(storageclass.Names(), "`, `") + "`. Not every server but AWS has them: of another one, the class is tried with a tiny object before it is applied. Defaults to `STANDARD`."),
			"classes": schema.SingleNestedAttribute{
				Optional:            true,
				MarkdownDescription: "Storage classes of single tiers, where they differ from `class`. Like `transitions` they become lifecycle rules of the bucket, see `manage_lifecycle`.",
				Attributes:          classes,
			},
			"transitions": schema.ListNestedAttribute{
				Optional:            true,
				MarkdownDescription: "Moves to cheaper storage classes with age. They become lifecycle rules of the bucket, which find the points by tags, see `manage_lifecycle`. Where the server takes no tags, points stay in the class they were uploaded to, and the runner warns. Deleting is never left to the bucket: only the runner knows which point is the last good one.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"after": after,
					"class": to,
					"tiers": schema.ListAttribute{
						Optional: true, ElementType: types.StringType,
						MarkdownDescription: "Which tiers move, such as `[\"monthly\", \"yearly\"]`. Defaults to all.",
					},
				}},
			},
			"expire_after": span("Age beyond which no recovery point stays, whatever a rule says, except the newest verified one; such as `2555d`. It must not be shorter than the longest rule. Defaults to no ceiling."),
		},
	}
}

func class(description string) schema.StringAttribute {
	return schema.StringAttribute{Optional: true, MarkdownDescription: description}
}
