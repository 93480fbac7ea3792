package storageclass_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/storageclass"
)

func parse(t *testing.T, name string) storageclass.Class {
	t.Helper()
	c, err := storageclass.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEveryClassBillsWhatS3SaysItBillsAtLeast(t *testing.T) {
	t.Parallel()
	for i, want := range []storageclass.Class{
		{"STANDARD", 0, 0, 0, false},
		{"STANDARD_IA", 1, 30, 131072, false},
		{"INTELLIGENT_TIERING", 2, 0, 0, false},
		{"ONEZONE_IA", 3, 30, 131072, false},
		{"GLACIER_IR", 4, 90, 131072, false},
		{"GLACIER", 5, 90, 0, true},
		{"DEEP_ARCHIVE", 6, 180, 0, true},
	} {
		if got := parse(t, want.Name); got != want || storageclass.All()[i] != want || storageclass.Names()[i] != want.Name {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	if len(storageclass.All()) != 7 {
		t.Error(storageclass.Names())
	}
	storageclass.All()[0].Name = "changed"
	if storageclass.Names()[0] != "STANDARD" {
		t.Error("a caller can change the table")
	}
}

// The table of the S3 User Guide, "Transitioning objects using Amazon S3
// Lifecycle", supported and unsupported transitions.
func TestObjectsMoveWhereTheUserGuideLetsThem(t *testing.T) {
	t.Parallel()
	for from, want := range map[string]string{
		"STANDARD":            "STANDARD_IA INTELLIGENT_TIERING ONEZONE_IA GLACIER_IR GLACIER DEEP_ARCHIVE",
		"STANDARD_IA":         "INTELLIGENT_TIERING ONEZONE_IA GLACIER_IR GLACIER DEEP_ARCHIVE",
		"INTELLIGENT_TIERING": "ONEZONE_IA GLACIER_IR GLACIER DEEP_ARCHIVE",
		"ONEZONE_IA":          "GLACIER DEEP_ARCHIVE",
		"GLACIER_IR":          "GLACIER DEEP_ARCHIVE",
		"GLACIER":             "DEEP_ARCHIVE",
		"DEEP_ARCHIVE":        "",
	} {
		var got []string
		for _, c := range storageclass.All() {
			if parse(t, from).MovesTo(c) {
				got = append(got, c.Name)
			}
		}
		if !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("from %s to %v, want %s", from, got, want)
		}
	}
}

func TestOnlyExactNamesAreAcceptedAndTheNearestIsSaid(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"":                           "storage class is empty: give one of STANDARD, STANDARD_IA",
		"standard":                   `did you mean "STANDARD"?`,
		"Standard-IA":                `did you mean "STANDARD_IA"?`,
		"STANDARD_IA ":               `did you mean "STANDARD_IA"?`,
		"ONE_ZONE_IA":                `did you mean "ONEZONE_IA"?`,
		"GLACEIR":                    `did you mean "GLACIER"?`,
		"Glacier Flexible Retrieval": `did you mean "GLACIER"?`,
		"S3 Glacier Deep Archive":    `did you mean "DEEP_ARCHIVE"?`,
		"GLACIER_INSTANT_RETRIEVAL":  `did you mean "GLACIER_IR"?`,
		"REDUCED_REDUNDANCY":         "storage class REDUCED_REDUNDANCY loses objects by design: give one of STANDARD",
		"EXPRESS_ONEZONE":            "exists in directory buckets only",
		"COLDLINE":                   `unknown storage class "COLDLINE"; valid are STANDARD, STANDARD_IA, INTELLIGENT_TIERING`,
		strings.Repeat("A", 1000):    "a storage class of 1000 characters is unknown",
	} {
		_, err := storageclass.Parse(name)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %s", name, err, want)
		}
	}
}
