package valid

import (
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
)

// Days accepts a length of time of whole days, such as 30d or 4w, which is all
// that S3 counts in.
func Days() validator.String {
	return text{describes: "a number of whole days, such as 30d or 4w", check: func(s string) error {
		_, err := ParseDays(s)
		return err
	}}
}

// ParseDays reads what Days accepts, at least one day.
func ParseDays(s string) (int, error) {
	const day = 24 * time.Hour
	d, err := duration.Parse(s)
	if err != nil {
		return 0, err
	}
	exact, ok := d.Exact()
	switch days := max(1, (d.Approx()+day/2)/day); {
	case d.IsZero():
		return 0, errors.New("is no time at all: leave the attribute out instead")
	case !ok:
		return 0, fmt.Errorf("%s goes by the calendar, and S3 counts days: write %dd", s, days)
	case exact%day != 0:
		return 0, fmt.Errorf("%s is not a whole number of days, and S3 counts days: write %dd", s, days)
	}
	return int(exact / day), nil
}
