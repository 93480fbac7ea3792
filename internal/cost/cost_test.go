package cost_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/cost"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/storageclass"
)

const (
	gb  = int64(1) << 30
	day = 24 * time.Hour
)

func about(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(1, math.Abs(a), math.Abs(b)) }

func TestATableSaysWhosePricesItHoldsAndOfWhen(t *testing.T) {
	t.Parallel()
	for region, note := range map[string]string{"us-east-1": "", "": "", "eu-central-1": " (none of eu-central-1 known)", "mars-north-1": " (none of mars-north-1 known)"} {
		table := cost.Prices(region)
		if table.Region != "us-east-1" || table.Currency != "USD" || table.IsZero() {
			t.Errorf("%s: %+v", region, table)
		}
		if _, err := time.Parse("2006-01", table.Date); err != nil || !strings.HasPrefix(table.Source, "https://aws.amazon.com/") {
			t.Errorf("%s: %s from %s", region, table.Date, table.Source)
		}
		if got, want := table.String(), "S3 list prices of us-east-1, "+table.Date+note; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if !(cost.Table{}).IsZero() || (cost.Table{}).String() != "no prices" {
		t.Error("the zero table has prices")
	}
}

func TestMonthlyTakesWhatS3BillsAtLeast(t *testing.T) {
	t.Parallel()
	table := cost.Prices("us-east-1")
	const minimum = 131072.0 / (1 << 30)
	for _, c := range []struct {
		stored cost.Stored
		want   float64
	}{
		{cost.Stored{}, 0},
		{cost.Stored{Bytes: -1, Class: "STANDARD_IA"}, 0},
		{cost.Stored{Bytes: 100 * gb}, 2.3},
		{cost.Stored{Bytes: 100 * gb, Class: "STANDARD"}, 2.3},
		{cost.Stored{Bytes: 100 * gb, Class: "STANDARD_IA"}, 1.25},
		{cost.Stored{Bytes: 100 * gb, Class: "ONEZONE_IA"}, 1.0},
		{cost.Stored{Bytes: 100 * gb, Class: "GLACIER_IR"}, 0.4},
		{cost.Stored{Bytes: 100 * gb, Class: "GLACIER"}, 0.36},
		{cost.Stored{Bytes: 100 * gb, Class: "DEEP_ARCHIVE"}, 0.099},
		{cost.Stored{Bytes: 1, Objects: 1, Class: "STANDARD_IA"}, minimum * 0.0125},
		{cost.Stored{Bytes: 1, Class: "GLACIER_IR"}, minimum * 0.004},
		{cost.Stored{Bytes: 131073, Objects: 1000, Class: "STANDARD_IA"}, 1000 * minimum * 0.0125},
		{cost.Stored{Bytes: 131072, Objects: 1, Class: "STANDARD_IA"}, minimum * 0.0125},
		{cost.Stored{Bytes: 1024, Objects: 1}, 1024.0 / (1 << 30) * 0.023},
		{cost.Stored{Bytes: 1024, Objects: 1, Class: "GLACIER"}, 1024.0 / (1 << 30) * 0.0036},
		{cost.Stored{Bytes: 100 * gb, Class: "INTELLIGENT_TIERING"}, 2.3},
		{cost.Stored{Bytes: 100 * gb, Class: "INTELLIGENT_TIERING", Age: 30 * day}, 1.25},
		{cost.Stored{Bytes: 100 * gb, Class: "INTELLIGENT_TIERING", Age: 365 * day}, 0.4},
		{cost.Stored{Bytes: 100 * gb, Class: "STANDARD_IA", Age: 365 * day}, 1.25},
		{cost.Stored{Bytes: 100 * gb, Class: "REDUCED_REDUNDANCY"}, 2.3}, // never less than it may be
	} {
		if got := table.Monthly(slices.Values([]cost.Stored{c.stored})); !about(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.stored, got, c.want)
		}
	}
	if got := (cost.Table{}).Monthly(slices.Values([]cost.Stored{{Bytes: gb}})); got != 0 {
		t.Errorf("without prices: %v", got)
	}
}

func TestReadingAnArchiveBackCostsMoneyAndTime(t *testing.T) {
	t.Parallel()
	table := cost.Prices("us-east-1")
	for _, c := range []struct {
		class string
		usd   float64
		wait  time.Duration
	}{
		{"", 0.0004, 0},
		{"STANDARD", 0.0004, 0},
		{"STANDARD_IA", 1 + 0.001, 0},
		{"ONEZONE_IA", 1 + 0.001, 0},
		{"INTELLIGENT_TIERING", 0.0004, 0},
		{"GLACIER_IR", 3 + 0.01, 0},
		{"GLACIER", 1 + 0.05 + 0.0004, 5 * time.Hour},
		{"DEEP_ARCHIVE", 2 + 0.1 + 0.0004, 12 * time.Hour},
	} {
		usd, wait := table.Retrieval(c.class, 100*gb, 1000)
		if !about(usd, c.usd) || wait != c.wait {
			t.Errorf("%s: %v, %s; want %v, %s", c.class, usd, wait, c.usd, c.wait)
		}
	}
	if usd, _ := table.Retrieval("GLACIER", -1, -1); usd != 0 {
		t.Errorf("nothing costs %v", usd)
	}
	for _, class := range storageclass.All() {
		price := table.Of(class.Name)
		if class.Archived != (price.RetrievalHours > 0) || class.Archived != (price.RetrievalWait != "none") {
			t.Errorf("%s: %+v", class.Name, price)
		}
	}
}

func TestPricesCanBeOverriddenAndBadOnesAreRefused(t *testing.T) {
	t.Parallel()
	list := cost.Prices("us-east-1")
	table, err := list.With(map[string]float64{"STANDARD": 0.02, "INTELLIGENT_TIERING": 0.01})
	if err != nil {
		t.Fatal(err)
	}
	if table.Of("STANDARD").GBMonth != 0.02 || table.Of("GLACIER").GBMonth != list.Of("GLACIER").GBMonth || list.Of("STANDARD").GBMonth != 0.023 {
		t.Errorf("%+v, was %+v", table.Of("STANDARD"), list.Of("STANDARD"))
	}
	if got, want := table.String(), list.String()+"; as configured: INTELLIGENT_TIERING, STANDARD"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := table.Monthly(slices.Values([]cost.Stored{{Bytes: gb, Class: "INTELLIGENT_TIERING", Age: 90 * day}})); !about(got, 0.01) {
		t.Errorf("one price at any age: %v", got)
	}
	again, err := table.With(map[string]float64{"STANDARD": 0.01})
	if err != nil || again.Of("STANDARD").GBMonth != 0.01 || len(again.Overridden) != 2 {
		t.Errorf("%+v, %v", again.Overridden, err)
	}
	if same, err := list.With(nil); err != nil || same.String() != list.String() {
		t.Errorf("%s, %v", same, err)
	}
	_, err = list.With(map[string]float64{"STANDRAD": 1, "GLACIER": -1, "DEEP_ARCHIVE": math.NaN(), "STANDARD": 23, "STANDARD_IA": 0})
	if err == nil {
		t.Fatal("nonsense was accepted")
	}
	for _, want := range []string{
		`unknown storage class "STANDRAD"; did you mean "STANDARD"?`,
		"price of GLACIER is -1: give USD per GB and month, from 0 to 10",
		"price of DEEP_ARCHIVE is NaN", "price of STANDARD is 23",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %s", err, want)
		}
	}
	if strings.Contains(err.Error(), "STANDARD_IA is") {
		t.Errorf("a price of nothing is a price: %v", err)
	}
}

func TestAStoreWithoutAPriceListHasThePricesItWasGiven(t *testing.T) {
	t.Parallel()
	table, err := cost.Table{Region: "https://minio.example.org", Date: "as configured"}.With(map[string]float64{"STANDARD": 0.01})
	if err != nil {
		t.Fatal(err)
	}
	if table.IsZero() || table.Currency != "USD" || table.String() != "S3 list prices of https://minio.example.org, as configured; as configured: STANDARD" {
		t.Errorf("%s in %q", table, table.Currency)
	}
	if got := table.Monthly(slices.Values([]cost.Stored{{Bytes: gb}, {Bytes: gb, Class: "GLACIER"}})); !about(got, 0.02) {
		t.Errorf("a class that is not given is priced as STANDARD: %v", got)
	}
}

func TestAPointIsItsDataItsIndexAndItsTableListAndNothingWhenItsSizeIsNotKnown(t *testing.T) {
	t.Parallel()
	for bytes, objects := range map[int64]int{1: 3, 32<<30 - 1: 3, 32 << 30: 4, 100 << 30: 6} {
		if got, known := cost.Point(bytes, -time.Hour, "GLACIER"); !known || got != (cost.Stored{Bytes: bytes, Objects: objects, Class: "GLACIER"}) {
			t.Errorf("%d bytes: %+v, %v", bytes, got, known)
		}
	}
	if _, known := cost.Point(0, 0, ""); known {
		t.Error("a point of unknown size is priced")
	}
}

func TestTheEstimateAddsUpAndGrowsWithBytes(t *testing.T) {
	t.Parallel()
	table := cost.Prices("us-east-1")
	stored := rapid.Custom(func(t *rapid.T) cost.Stored {
		return cost.Stored{
			Bytes:   rapid.Int64Range(0, 1<<45).Draw(t, "bytes"),
			Objects: rapid.IntRange(0, 5000).Draw(t, "objects"),
			Age:     time.Duration(rapid.IntRange(0, 4000).Draw(t, "days")) * day,
			Class:   rapid.SampledFrom(append(storageclass.Names(), "")).Draw(t, "class"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.SliceOf(stored).Draw(t, "a"), rapid.SliceOf(stored).Draw(t, "b")
		monthly := func(s []cost.Stored) float64 { return table.Monthly(slices.Values(s)) }
		if sum, both := monthly(a)+monthly(b), monthly(append(slices.Clone(a), b...)); !about(sum, both) {
			t.Fatalf("%v apart, %v together", sum, both)
		}
		one := stored.Draw(t, "one")
		more := one
		more.Bytes += rapid.Int64Range(0, 1<<40).Draw(t, "more")
		if less, usd := monthly([]cost.Stored{one}), monthly([]cost.Stored{more}); usd < less || less < 0 {
			t.Fatalf("%+v costs %v, %+v only %v", one, less, more, usd)
		}
	})
}
