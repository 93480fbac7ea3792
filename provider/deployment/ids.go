package deployment

import (
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
)

// idRule accepts ids of EC2 that begin with prefix.
func idRule(prefix string) validator.String {
	return stringvalidator.RegexMatches(regexp.MustCompile("^"+prefix+"[0-9a-f]{8,17}$"), "give an id such as "+prefix+"0a1b2c3d4e5f67890")
}
