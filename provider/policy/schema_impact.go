package policy

import (
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// What a plan shows of a change. Computed when the document changes, as of the
// moment of the refresh before, and kept in state until the next change.
const (
	asOfLastChange = " Computed when the rules change, kept until they change again, and null for a policy that never changed."
)

func summarySchema() schema.ListAttribute {
	return schema.ListAttribute{
		Computed: true, ElementType: types.StringType,
		MarkdownDescription: "The last change of the policy in sentences: what changed, what can no longer be restored, what is kept longer and from when on." + asOfLastChange,
	}
}

func impactSchema() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Computed: true,
		MarkdownDescription: "What the last change of the policy means for the recovery points that were there: those that the new rules delete and the old ones would not, and those it is the other way round with." +
			asOfLastChange,
		Attributes: map[string]schema.Attribute{
			"as_of":   text("The moment of which all this is told, RFC 3339: recovery points that came later are not in it."),
			"points":  whole("How many recovery points the change loses."),
			"bytes":   whole("Their stored size in bytes."),
			"spared":  whole("How many recovery points the rules would lose but a guard spares: what cannot be read is not deleted, nor what another policy protects."),
			"waiting": whole("How many of `spared` go as soon as what keeps them is put right, such as a manifest that cannot be read. They have to be approved like the lost ones."),
			"gained":  whole("How many recovery points the new rules keep and the old ones would have deleted."),
			"groups": schema.ListNestedAttribute{
				Computed:            true,
				MarkdownDescription: "The same for every source and kind.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"source":             text("What is backed up, such as `db.example.org/shop`."),
					"kind":               text("Kind of its recovery points, such as `logical`."),
					"kept_before":        whole("Recovery points that the old rules keep."),
					"kept_after":         whole("Recovery points that the new rules keep."),
					"lost":               whole("Recovery points that the change loses."),
					"lost_bytes":         whole("Their stored size in bytes."),
					"gained":             whole("Recovery points that the new rules keep and the old ones would have deleted."),
					"oldest_before":      text("Start of the oldest recovery point kept by the old rules, RFC 3339; null when there is none."),
					"oldest_after":       text("Start of the oldest recovery point kept by the new rules, RFC 3339; null when there is none."),
					"gap_before_seconds": whole("Longest time between two neighbouring recovery points kept by the old rules, in seconds."),
					"gap_after_seconds":  whole("Longest time between two neighbouring recovery points kept by the new rules, in seconds."),
				}},
			},
			"windows": schema.ListNestedAttribute{
				Computed:            true,
				MarkdownDescription: "Point-in-time recovery of every server whose write-ahead log is archived: from the given moment to now. A window that gets shorter is a loss that has to be approved, also where no recovery point goes.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"source":            text("What is backed up, such as `db.example.org`."),
					"system_identifier": text("System identifier of the server."),
					"from_before":       text("Oldest moment that can be recovered to under the old rules, RFC 3339; null when there is none."),
					"from_after":        text("Oldest moment that can be recovered to under the new rules, RFC 3339; null when there is none."),
					"lost":              schema.BoolAttribute{Computed: true, MarkdownDescription: "Whether the change deletes write-ahead log that the old rules keep."},
				}},
			},
		},
	}
}

func costSchema() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Computed: true,
		MarkdownDescription: "What storing the kept recovery points costs a month, in USD, from list prices: an estimate, not a bill. Null for directories. A bucket of another service than AWS is priced as if it were there, and `prices` says so; `storage_prices_usd` of the provider puts your own prices in the list's place." +
			asOfLastChange,
		Attributes: map[string]schema.Attribute{
			"before": schema.Float64Attribute{Computed: true, MarkdownDescription: "With what the old rules keep."},
			"after":  schema.Float64Attribute{Computed: true, MarkdownDescription: "With what the new rules keep."},
			"prices": text("The prices that were used: region and date."),
		},
	}
}

func text(description string) schema.StringAttribute {
	return schema.StringAttribute{Computed: true, MarkdownDescription: description}
}

func whole(description string) schema.Int64Attribute {
	return schema.Int64Attribute{Computed: true, MarkdownDescription: description}
}
