// Package datasource holds the provider's data sources: what recovery points
// there are, and what retention rules would do to them now. They only read.
//
// What must not live here: what the rules mean (package retention) and what a
// rotation does (package rotate).
package datasource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/nearest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/connection"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// readTime bounds what one data source reads. A repository of a million points
// is listed well within it.
const readTime = 2 * time.Minute

// defaultLimit is how many points are listed unless the configuration says
// otherwise, maxLimit the most: they stand in state.
const (
	defaultLimit = 1000
	maxLimit     = 10_000
)

// reader is what the data sources share.
type reader struct{ conn *connection.Connection }

func (r *reader) Configure(_ context.Context, req datasource.ConfigureRequest, _ *datasource.ConfigureResponse) {
	r.conn, _ = req.ProviderData.(*connection.Connection)
}

// within runs read under a context that ends after a time, and then says so in
// place of whatever the end looked like below.
func within(ctx context.Context, limit time.Duration, at location.Location, read func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%s was not read within %s: narrow it down by source and kind", at, limit))
	defer cancel()
	err := read(ctx)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// unknownSource warns of a filter that matches no source there is: a mistyped name
// would read as "nothing there" for ever.
func unknownSource(ctx context.Context, kind string, r *repo.Repository, source types.String) (diags diag.Diagnostics, err error) {
	if source.ValueString() == "" {
		return nil, nil
	}
	all, err := r.List(ctx, repo.Filter{})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, l := range all {
		if l.Source == source.ValueString() {
			return nil, nil
		}
		if l.Source != "" {
			names = append(names, l.Source)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	diags.AddAttributeWarning(path.Root("source"), fmt.Sprintf("%s: there is no recovery point of source %q", kind, source.ValueString()),
		valid.Sentence(fmt.Errorf("sources with points in %s: %d%s", r.URL(), len(names), nearest.Suggestion(source.ValueString(), names))))
	return diags, nil
}

// failed is the error of a read, at the attribute that names what was read.
func failed(kind, attribute string, err error) diag.Diagnostic {
	if errors.Is(err, repo.ErrNoRepository) {
		err = fmt.Errorf("%w; is %s right, and was the repository created?", err, attribute)
	}
	return diag.NewAttributeErrorDiagnostic(path.Root(attribute), "reading "+kind, valid.Sentence(err))
}

// rfc3339 accepts a moment.
type rfc3339 struct{}

func (rfc3339) Description(context.Context) string               { return "a moment such as 2026-03-01T02:00:00Z" }
func (v rfc3339) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (rfc3339) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	if _, err := time.Parse(time.RFC3339, req.ConfigValue.ValueString()); err != nil {
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid value for "+req.Path.String(),
			fmt.Sprintf("%.60q is no moment: write it as \"2026-03-01T02:00:00Z\", or take timeadd(plantimestamp(), \"-720h\").", req.ConfigValue.ValueString()))
	}
}

// moment is a validated moment, zero for none.
func moment(text types.String) time.Time {
	t, err := time.Parse(time.RFC3339, text.ValueString())
	if err != nil {
		return time.Time{}
	}
	return t
}

// some is a text as an attribute, null for none.
func some(text string) types.String {
	if text == "" {
		return types.StringNull()
	}
	return types.StringValue(text)
}

func text(description string) schema.StringAttribute {
	return schema.StringAttribute{Computed: true, MarkdownDescription: description}
}

func whole(description string) schema.Int64Attribute {
	return schema.Int64Attribute{Computed: true, MarkdownDescription: description}
}

func flag(description string) schema.BoolAttribute {
	return schema.BoolAttribute{Computed: true, MarkdownDescription: description}
}

func words(description string) schema.ListAttribute {
	return schema.ListAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: description}
}

func sourceFilter() schema.StringAttribute {
	return schema.StringAttribute{Optional: true, MarkdownDescription: "Only recovery points of this source, such as `app@db.example.org`. All sources where it is not given."}
}

func kindFilter() schema.StringAttribute {
	return schema.StringAttribute{Optional: true, MarkdownDescription: "Only recovery points of this kind, such as `logical`. All kinds where it is not given."}
}
