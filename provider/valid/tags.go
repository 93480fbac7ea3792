package valid

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// Tags accepts tags that every service of AWS accepts and that the provider does
// not set itself.
func Tags() validator.Map { return tags{} }

type tags struct{}

const (
	// mostTags leaves room, of the 50 that most services take, for the provider's.
	mostTags = 40
	maxTag   = 128
	maxValue = 256
)

// Source: "Tag naming limits and requirements" in Tagging AWS Resources; the
// characters are those that all services allow.
var tagLetters = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)

func (tags) Description(context.Context) string {
	return "at most 40 tags, whose names have at most 128 characters and begin with neither aws: nor pgbackup:, values of at most 256; letters, digits, spaces and _ . : / = + - @"
}

func (t tags) MarkdownDescription(ctx context.Context) string { return t.Description(ctx) }

func (tags) ValidateMap(_ context.Context, req validator.MapRequest, resp *validator.MapResponse) {
	if n := len(req.ConfigValue.Elements()); n > mostTags {
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid value for "+req.Path.String(), fmt.Sprintf("There are %d tags: AWS takes 50 of one thing, and pgbackup sets some itself; give at most %d.", n, mostTags))
	}
	seen := map[string]string{}
	for name, value := range req.ConfigValue.Elements() {
		text, _ := value.(types.String)
		wrong := wrongTag(name, text)
		lower := strings.ToLower(name)
		if other, twice := seen[lower]; twice && wrong == "" {
			wrong = fmt.Sprintf("it differs from %q by upper and lower case alone, which IAM takes for one name", other)
		}
		seen[lower] = name
		if wrong != "" {
			resp.Diagnostics.AddAttributeError(req.Path.AtMapKey(name), "Invalid value for "+req.Path.String(), fmt.Sprintf("Tag %.140q: %s.", name, wrong))
		}
	}
}

// wrongTag says what is wrong with a tag, "" for nothing.
func wrongTag(name string, value types.String) string {
	lower := strings.ToLower(name)
	switch {
	case name == "" || len([]rune(name)) > maxTag:
		return fmt.Sprintf("names have 1 to %d characters", maxTag)
	case strings.HasPrefix(lower, "aws:"):
		return "names that begin with aws: are AWS's own"
	case strings.HasPrefix(lower, "pgbackup:"):
		return "names that begin with pgbackup: are set by the provider, which knows its own things by them"
	case value.IsUnknown():
		return ""
	case value.IsNull():
		return "a value is null: leave the tag out, or give an empty text"
	case len([]rune(value.ValueString())) > maxValue:
		return fmt.Sprintf("values have at most %d characters", maxValue)
	case !tagLetters.MatchString(name) || !tagLetters.MatchString(value.ValueString()):
		return "only letters, digits, spaces and _ . : / = + - @ are taken by every service of AWS"
	}
	return ""
}
