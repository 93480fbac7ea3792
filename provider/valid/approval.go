package valid

import (
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/impact"
)

// Approval accepts the code that a refused plan names.
func Approval() validator.String {
	return text{describes: "a code such as EXPIRE-16-9c41d2", check: func(s string) error {
		_, _, err := impact.ParseCode(s)
		return err
	}}
}
