package schedule

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// tagRule accepts tags that AWS accepts and that are not set by the provider.
type tagRule struct{}

func (tagRule) Description(context.Context) string {
	return "names of at most 128 characters that begin with neither aws: nor pgbackup:, values of at most 256"
}

func (r tagRule) MarkdownDescription(ctx context.Context) string { return r.Description(ctx) }

func (tagRule) ValidateMap(_ context.Context, req validator.MapRequest, resp *validator.MapResponse) {
	for name, value := range req.ConfigValue.Elements() {
		wrong := ""
		lower := strings.ToLower(name)
		text, _ := value.(types.String)
		switch {
		case name == "" || len([]rune(name)) > 128:
			wrong = "names have 1 to 128 characters"
		case strings.HasPrefix(lower, "aws:"):
			wrong = "names that begin with aws: are AWS's own"
		case strings.HasPrefix(lower, "pgbackup:"):
			wrong = "names that begin with pgbackup: are set by the provider, which knows its own things by them"
		case len([]rune(text.ValueString())) > 256:
			wrong = "values have at most 256 characters"
		case text.IsNull():
			wrong = "a value is null: leave the tag out, or give an empty text"
		}
		if wrong != "" {
			resp.Diagnostics.AddAttributeError(req.Path.AtMapKey(name), "Invalid value for "+req.Path.String(), fmt.Sprintf("Tag %.140q: %s.", name, wrong))
		}
	}
}
