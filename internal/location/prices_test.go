package location

import (
	"strings"
	"testing"
)

func TestPricesSayWhoseTheyAre(t *testing.T) {
	t.Parallel()
	own := map[string]float64{"STANDARD": 0.5}
	for name, c := range map[string]struct {
		at    string
		own   map[string]float64
		wants []string // in the name of the table; none for no prices
	}{
		"a directory":                    {at: "file:///x", own: own},
		"a region of the table":          {at: "s3://bucket?region=us-east-1", wants: []string{"S3 list prices of us-east-1, 20"}},
		"a region that it does not have": {at: "s3://bucket?region=eu-west-1", wants: []string{"S3 list prices of us-east-1", "none of eu-west-1 known"}},
		"an agreement":                   {at: "s3://bucket?region=us-east-1", own: own, wants: []string{"as configured: STANDARD"}},
		"an endpoint of AWS":             {at: "s3://bucket?region=us-east-1&endpoint=https%3A%2F%2Fbucket.vpce-1.s3.us-east-1.vpce.amazonaws.com", wants: []string{"S3 list prices of us-east-1, 20"}},
		"another service":                {at: "s3://bucket?region=us-east-1&endpoint=https%3A%2F%2Fminio.example.org", wants: []string{"the bucket is not AWS's"}},
		"another service and region":     {at: "s3://bucket?region=eu-west-1&endpoint=https%3A%2F%2Fminio.example.org", wants: []string{"the bucket is not AWS's; none of eu-west-1 known"}},
		"a name that looks like AWS":     {at: "s3://bucket?region=us-east-1&endpoint=https%3A%2F%2Famazonaws.com.example.org", wants: []string{"the bucket is not AWS's"}},
	} {
		at, err := Parse(c.at)
		if err != nil {
			t.Fatal(err)
		}
		table, err := Prices(at, "", c.own)
		if err != nil || table.IsZero() != (len(c.wants) == 0) {
			t.Errorf("%s: %s, %v", name, table, err)
		}
		for _, want := range c.wants {
			if !strings.Contains(table.String(), want) {
				t.Errorf("%s: %q lacks %q", name, table, want)
			}
		}
		if len(c.wants) == 1 && strings.HasSuffix(c.wants[0], "20") && strings.Contains(table.String(), "(") {
			t.Errorf("%s: %q has a note", name, table)
		}
	}
	if _, err := Prices(Location{Bucket: "b"}, "", map[string]float64{"STANDART": 1}); err == nil || !strings.Contains(err.Error(), "STANDARD") {
		t.Errorf("a class that does not exist: %v", err)
	}
}
