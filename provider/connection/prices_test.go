package connection

import (
	"errors"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
)

func TestPricesAreThoseOfThePlaceOrNone(t *testing.T) {
	t.Parallel()
	given := map[string]float64{"STANDARD": 0.5}
	for name, c := range map[string]struct {
		at     string
		given  map[string]float64
		unsure bool
		want   string // in the name of the table; "" for none
	}{
		"a directory":                      {at: "file:///x", given: given},
		"a region of AWS":                  {at: "s3://bucket?region=eu-west-1", want: "S3 list prices of "},
		"a region, with an agreement":      {at: "s3://bucket?region=eu-west-1", given: given, want: "as configured: STANDARD"},
		"an endpoint of AWS":               {at: "s3://bucket?region=eu-west-1&endpoint=https%3A%2F%2Fbucket.vpce-1.s3.eu-west-1.vpce.amazonaws.com", want: "S3 list prices of "},
		"another service":                  {at: "s3://bucket?endpoint=https%3A%2F%2Fminio.example.org"},
		"another service and its prices":   {at: "s3://bucket?endpoint=https%3A%2F%2Fminio.example.org", given: given, want: "storage_prices_usd"},
		"another service and one class's":  {at: "s3://bucket?endpoint=https%3A%2F%2Fminio.example.org", given: map[string]float64{"GLACIER": 1}},
		"a name that only looks like AWS":  {at: "s3://bucket?endpoint=https%3A%2F%2Famazonaws.com.example.org"},
		"a directory, whatever is unknown": {at: "file:///x", unsure: true},
	} {
		at, err := location.Parse(c.at)
		if err != nil {
			t.Fatal(err)
		}
		table, err := New(Settings{StoragePrices: c.given, Unknown: c.unsure}).Prices(at)
		if err != nil || table.IsZero() != (c.want == "") || !strings.Contains(table.String(), c.want) {
			t.Errorf("%s: %s, %v", name, table, err)
		}
	}
	at, err := location.Parse("s3://bucket?region=eu-west-1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(Settings{Unknown: true}).Prices(at); !errors.Is(err, ErrUnknown) {
		t.Errorf("with settings that are not known yet: %v", err)
	}
}
