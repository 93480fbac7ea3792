package valid_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

func TestTagsThatAWSWouldRefuseAreRefusedFirst(t *testing.T) {
	t.Parallel()
	many := map[string]attr.Value{}
	for i := range 41 {
		many[fmt.Sprintf("tag%d", i)] = types.StringValue("x")
	}
	one := func(name, value string) map[string]attr.Value {
		return map[string]attr.Value{name: types.StringValue(value)}
	}
	for _, c := range []struct {
		tags map[string]attr.Value
		want string // "" is accepted
	}{
		{one("team", "Data + Ops/Zürich @night"), ""},
		{one("cost center", ""), ""},
		{map[string]attr.Value{"team": types.StringUnknown()}, ""},
		{one("team", "a&b"), "only letters, digits, spaces"},
		{one("team;x", "a"), "only letters, digits, spaces"},
		{one("AWS:x", "a"), "are AWS's own"},
		{one("pgbackup:name", "a"), "set by the provider"},
		{one("", "a"), "names have 1 to 128"},
		{one("x", strings.Repeat("a", 257)), "at most 256"},
		{map[string]attr.Value{"x": types.StringNull()}, "a value is null"},
		{map[string]attr.Value{"Name": types.StringValue("a"), "name": types.StringValue("b")}, "upper and lower case alone"},
		{many, "There are 41 tags"},
	} {
		var resp validator.MapResponse
		valid.Tags().ValidateMap(t.Context(), validator.MapRequest{Path: path.Root("tags"), ConfigValue: types.MapValueMust(types.StringType, c.tags)}, &resp)
		var said []string
		for _, d := range resp.Diagnostics {
			said = append(said, d.Detail())
		}
		if text := strings.Join(said, " "); (c.want == "") != (text == "") || !strings.Contains(text, c.want) {
			t.Errorf("%v: %q, want %q", c.tags, text, c.want)
		}
	}
}
