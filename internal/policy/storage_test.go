package policy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/storageclass"
)

// tiered is a policy that says everything about storage that can be said.
func tiered() policy.Document {
	d := prod()
	d.Storage = policy.Storage{
		Class:   "STANDARD",
		Classes: policy.TierClasses{Weekly: "STANDARD_IA"},
		Transitions: []policy.Transition{
			to("GLACIER_IR", "7d"),
			to("DEEP_ARCHIVE", "180d", "monthly", "yearly"),
		},
		ExpireAfter: span("2555d"),
	}
	return d
}

const tieredCanonical = `{"format":1,"name":"prod","environment":"production","timezone":"Europe/Berlin","objectives":{"rpo":"24h","rto":"4h"},` +
	`"retention":{"keep_last":3,"keep_daily":30,"keep_weekly":12,"keep_monthly":12,"keep_yearly":7,"wal":"7d"},` +
	`"storage":{"class":"STANDARD","classes":{"weekly":"STANDARD_IA"},"transitions":[{"after":"7d","class":"GLACIER_IR"},` +
	`{"after":"180d","class":"DEEP_ARCHIVE","tiers":["monthly","yearly"]}],"expire_after":"2555d"}}`

func TestTheCanonicalFormOfStorageIsPinned(t *testing.T) {
	t.Parallel()
	if got := string(tiered().Canonical()); got != tieredCanonical {
		t.Errorf("got  %s\nwant %s", got, tieredCanonical)
	}
	d, err := policy.Parse([]byte(tieredCanonical))
	if err != nil || string(d.Canonical()) != tieredCanonical {
		t.Errorf("%s, %v", d.Canonical(), err)
	}
}

func TestClassAtFollowsATierDown(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	s := tiered().Storage
	for _, c := range []struct {
		tier string
		age  time.Duration
		want string
	}{
		{"daily", 0, "STANDARD"}, {"daily", 7*day - 1, "STANDARD"}, {"daily", 7 * day, "GLACIER_IR"}, {"daily", 999 * day, "GLACIER_IR"},
		{"weekly", 0, "STANDARD_IA"}, {"yearly", 8 * day, "GLACIER_IR"}, {"yearly", 180 * day, "DEEP_ARCHIVE"},
	} {
		if got := s.ClassAt(c.tier, c.age); got != c.want {
			t.Errorf("%s after %s: %s, want %s", c.tier, c.age, got, c.want)
		}
	}
	if got := (policy.Storage{}).ClassAt("daily", 999*day); got != "STANDARD" {
		t.Errorf("without a word about storage: %s", got)
	}
	if got := s.TransitionsOf("yearly"); len(got) != 2 || got[0].Days() != 7 || got[1].Days() != 180 {
		t.Errorf("%v", got)
	}
}

func TestTiersAreTheOnesTheRulesMake(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		keep retention.Keep
		want string
	}{
		{retention.Keep{KeepLast: 3}, "daily"},
		{retention.Keep{KeepLast: 3, KeepHourly: 24}, "hourly"},
		{retention.Keep{KeepWeekly: 4}, "weekly"},
		{retention.Keep{WAL: span("7d"), KeepWithinYearly: span("7y")}, "daily yearly"},
		{retention.Keep{KeepHourly: 1, KeepDaily: 1, KeepWeekly: 1, KeepMonthly: 1, KeepYearly: 1}, "hourly daily weekly monthly yearly"},
	} {
		if got := strings.Join((policy.Document{Retention: c.keep}).Tiers(), " "); got != c.want {
			t.Errorf("%+v: %s, want %s", c.keep, got, c.want)
		}
	}
}

func TestStorageThatS3CannotDoIsRefusedWithThePlaceAndTheFix(t *testing.T) {
	t.Parallel()
	for storage, want := range map[string]string{
		`{"class":"GLACIR"}`:                       `storage.class: unknown storage class "GLACIR"; did you mean "GLACIER"?`,
		`{"class":"glacier"}`:                      `storage.class: unknown storage class "glacier"; did you mean "GLACIER"?`,
		`{"classes":{"monthly":"DEEP"}}`:           `storage.classes.monthly: unknown storage class "DEEP"; did you mean "DEEP_ARCHIVE"?`,
		`{"classes":{"hourly":"GLACIER"}}`:         `storage.classes.hourly: no point is ever hourly under these rules, which make points daily, weekly and monthly: add keep_hourly, or remove this`,
		`{"classes":{"dayly":"GLACIER"}}`:          `policy.storage.classes.dayly: unknown field; did you mean "daily"?`,
		`{"transition":[]}`:                        `policy.storage.transition: unknown field; did you mean "transitions"?`,
		`{"transitions":{}}`:                       `policy.storage.transitions: must be a list, not an object`,
		`{"transitions":[{"afer":"9d"}]}`:          `policy.storage.transitions[0].afer: unknown field; did you mean "after"?`,
		`{"transitions":[{"after":"9 d"}]}`:        `policy.storage.transitions[0].after: duration "9 d"`,
		`{"transitions":[{"class":"GLACIER"}]}`:    `storage.transitions[0].after: must be at least 1d: give an age in days`,
		`{"transitions":[{"after":"90d"}]}`:        `storage.transitions[0].class: storage class is empty: give one of STANDARD`,
		`{"transitions":[$G,$X("3mo")]}`:           `storage.transitions[1].after: 3mo has no fixed number of days, and S3 counts in days: write 90d`,
		`{"transitions":[$X("1y2mo")]}`:            `write 425d`,
		`{"transitions":[$X("36h")]}`:              `storage.transitions[0].after: 36h is not a whole number of days, and S3 counts in days: write 2d`,
		`{"transitions":[$X("20m")]}`:              `20m is not a whole number of days, and S3 counts in days: write 1d`,
		`{"transitions":[$X("9d","STANDARD")]}`:    `storage.transitions[0].class: S3 moves no object to STANDARD`,
		`{"transitions":[$X("9d","G","dailly")]}`:  `storage.transitions[0].tiers[0]: unknown tier "dailly"; did you mean "daily"?`,
		`{"transitions":[$X("9d","G","yearly")]}`:  `storage.transitions[0].tiers[0]: no point is ever yearly under these rules, which make points daily, weekly and monthly: add keep_yearly`,
		`{"transitions":[$X("9d","G","daily$2")]}`: `storage.transitions[0].tiers[1]: "daily" is given twice`,
		`{"transitions":[{"after":"9d","class":"GLACIER","tiers":["a","b","c","d","e","f"]}]}`: `storage.transitions[0].tiers: names 6 tiers and there are 5`,
		`{"transitions":[$X("9d","G","")]}`:                                                    `storage.transitions[0].tiers: names no tier: leave it out for every tier, or remove the transition`,
		`{"class":"GLACIER","transitions":[$G]}`:                                               `storage.transitions[0].class: points are uploaded to GLACIER already: give DEEP_ARCHIVE, or remove the transition`,
		`{"class":"DEEP_ARCHIVE","transitions":[$G]}`: `storage.transitions[0].class: points are uploaded to DEEP_ARCHIVE, and S3 moves no object from there to GLACIER: ` +
			`no class is below DEEP_ARCHIVE, or remove the transition`,
		`{"classes":{"monthly":"DEEP_ARCHIVE"},"transitions":[$G]}`: `storage.transitions[0].class: monthly points are uploaded to DEEP_ARCHIVE, and S3 moves no object from there to GLACIER: ` +
			`name the tiers it is for, tiers = ["daily", "weekly"]`,
		`{"class":"GLACIER","classes":{"monthly":"STANDARD"}}`: `storage.classes.monthly: points are uploaded as daily ones to GLACIER, and S3 moves no object from there to STANDARD: ` +
			`give DEEP_ARCHIVE, or a higher class for daily points`,
		`{"transitions":[$G,$X("200d","STANDARD_IA")]}`: `storage.transitions[1].class: points are from 90d in GLACIER, and S3 moves no object from there to STANDARD_IA: give DEEP_ARCHIVE`,
		`{"transitions":[$X("9d","ONEZONE_IA"),$X("10d","GLACIER_IR","monthly")]}`: `storage.transitions[1].class: monthly points are from 9d in ONEZONE_IA, and S3 moves no object from there to GLACIER_IR: ` +
			`give GLACIER or DEEP_ARCHIVE`,
		`{"transitions":[$G,$X("120d","G","weekly")]}`:           `storage.transitions[1].class: weekly points are from 90d in GLACIER already`,
		`{"transitions":[$G,$X("2160h","DEEP_ARCHIVE")]}`:        `storage.transitions[1].after: points go to GLACIER at 90d too: give the two different ages or different tiers`,
		`{"expire_after":"365d","transitions":[$X("365d")]}`:     `storage.transitions[0].after: nothing is left to move at 365d, expire_after = "365d" deletes it before`,
		`{"expire_after":"1y","transitions":[$X("400d")]}`:       `nothing is left to move at 400d, expire_after = "1y"`,
		`{"transitions":[` + strings.Repeat("$G,", 100) + `$G]}`: `storage.transitions: 101 of them, at most 100 can be meant`,
	} {
		data := `{"format":1,"name":"prod","retention":{"keep_daily":30,"keep_weekly":12,"keep_monthly":12},"storage":` + expand(storage) + `}`
		_, err := policy.Parse([]byte(data))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\ngot  %v\nwant %s", data, err, want)
		}
		if err != nil && strings.Count(err.Error(), "\n") > 0 && !strings.Contains(data, `"after":"9`) {
			t.Errorf("%s: one fault is told more than once: %v", data, err)
		}
	}
}

// expand writes transitions out: $G is GLACIER after 90d, $X("1d","CLASS","tiers")
// any, with "G" for GLACIER, which is also the default.
func expand(s string) string {
	s = strings.ReplaceAll(s, "$G", `{"after":"90d","class":"GLACIER"}`)
	for {
		before, rest, found := strings.Cut(s, "$X(")
		if !found {
			return s
		}
		arguments, rest, _ := strings.Cut(rest, ")")
		parts := strings.Split(arguments, ",")
		transition := `{"after":` + parts[0] + `,"class":`
		if len(parts) < 2 || parts[1] == `"G"` {
			transition += `"GLACIER"`
		} else {
			transition += parts[1]
		}
		if len(parts) == 3 {
			tiers := strings.ReplaceAll(parts[2], `$2"`, `","`+strings.Trim(parts[2], `$2"`)+`"`)
			if tiers == `""` {
				tiers = ""
			}
			transition += `,"tiers":[` + tiers + `]`
		}
		s = before + transition + "}" + rest
	}
}

func TestTransitionsMayBeListedInAnyOrder(t *testing.T) {
	t.Parallel()
	d := tiered()
	slices.Reverse(d.Storage.Transitions)
	if err := d.Validate(); err != nil {
		t.Error(err)
	}
}

func TestWhatIsAcceptedWalksDownTheWaterfallOnly(t *testing.T) {
	t.Parallel()
	accepted := 0
	rapid.Check(t, func(t *rapid.T) {
		d := anyDocument(t, "d")
		if d.Validate() != nil {
			return
		}
		accepted++
		for _, tier := range d.Tiers() {
			before := mustParse(t, d.Storage.UploadClass(tier))
			for age := range 400 {
				now := mustParse(t, d.Storage.ClassAt(tier, time.Duration(age)*24*time.Hour))
				if now.Name != before.Name && !before.MovesTo(now) {
					t.Fatalf("%s: %s points go from %s to %s after %dd", d.Canonical(), tier, before.Name, now.Name, age)
				}
				before = now
			}
		}
		again, err := policy.Parse(d.Canonical())
		if err != nil || again.Digest() != d.Digest() || len(policy.Diff(d, again)) != 0 {
			t.Fatalf("%s: %v", d.Canonical(), err)
		}
	})
	if accepted == 0 {
		t.Error("no document was accepted: nothing was tried")
	}
}

func mustParse(t *rapid.T, name string) storageclass.Class {
	c, err := storageclass.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// anyDocument draws a document of which about half are valid.
func anyDocument(t *rapid.T, label string) policy.Document {
	class := rapid.SampledFrom(append(storageclass.Names(), "", "", "", ""))
	d := policy.Document{
		Format: policy.Format, Name: "prod",
		Timezone: rapid.SampledFrom([]string{"", "UTC", "Europe/Berlin"}).Draw(t, label+" zone"),
		Retention: retention.Keep{
			KeepLast:    rapid.IntRange(0, 3).Draw(t, label+" last"),
			KeepDaily:   rapid.IntRange(-1, 30).Draw(t, label+" daily"),
			KeepMonthly: rapid.IntRange(-1, 12).Draw(t, label+" monthly"),
		},
		Storage: policy.Storage{
			Class:   class.Draw(t, label+" class"),
			Classes: policy.TierClasses{Monthly: class.Draw(t, label+" monthly class")},
		},
	}
	if rapid.Bool().Draw(t, label+" limited") {
		d.Storage.ExpireAfter = duration.Of(time.Duration(rapid.IntRange(1, 500).Draw(t, label+" limit")) * 24 * time.Hour)
	}
	for range rapid.IntRange(0, 3).Draw(t, label+" moves") {
		move := policy.Transition{
			After: duration.Of(time.Duration(rapid.IntRange(1, 400).Draw(t, label+" after")) * 24 * time.Hour),
			Class: rapid.SampledFrom(storageclass.Names()).Draw(t, label+" target"),
		}
		if rapid.Bool().Draw(t, label+" tiered") {
			move.Tiers = []string{rapid.SampledFrom([]string{"daily", "monthly"}).Draw(t, label+" tier")}
		}
		d.Storage.Transitions = append(d.Storage.Transitions, move)
	}
	return d
}
