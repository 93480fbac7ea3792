package policy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

func prod() policy.Document {
	return policy.Document{
		Format: policy.Format, Name: "prod", Environment: "production", Timezone: "Europe/Berlin",
		Objectives: policy.Objectives{RPO: duration.MustParse("24h"), RTO: duration.MustParse("4h")},
		Retention:  retention.Keep{KeepLast: 3, KeepDaily: 30, KeepWeekly: 12, KeepMonthly: 12, KeepYearly: 7, WAL: duration.MustParse("7d")},
		Storage:    policy.Storage{ExpireAfter: duration.MustParse("2555d")},
	}
}

const prodCanonical = `{"format":1,"name":"prod","environment":"production","timezone":"Europe/Berlin","objectives":{"rpo":"24h","rto":"4h"},` +
	`"retention":{"keep_last":3,"keep_daily":30,"keep_weekly":12,"keep_monthly":12,"keep_yearly":7,"wal":"7d"},"storage":{"expire_after":"2555d"}}`

func TestTheCanonicalFormIsPinned(t *testing.T) {
	t.Parallel()
	if got := string(prod().Canonical()); got != prodCanonical {
		t.Errorf("got  %s\nwant %s", got, prodCanonical)
	}
	if got, want := prod().Digest(), "1f0f9e3d628091c642b54a5fc3152c059d8b4fc568f431bf0df162088427795a"; got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
	// Reading in any order and layout gives the same bytes again.
	var fields map[string]any
	if err := json.Unmarshal([]byte(prodCanonical), &fields); err != nil {
		t.Fatal(err)
	}
	shuffled, err := json.MarshalIndent(fields, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	d, err := policy.Parse(shuffled)
	if err != nil {
		t.Fatal(err)
	}
	if string(d.Canonical()) != prodCanonical || d.Digest() != prod().Digest() {
		t.Errorf("%s", d.Canonical())
	}
}

func TestRulesResolveTimeZoneAndCeiling(t *testing.T) {
	t.Parallel()
	rules, err := prod().Rules()
	if err != nil || rules.Location.String() != "Europe/Berlin" || rules.ExpireAfter.String() != "2555d" || rules.KeepDaily != 30 {
		t.Errorf("%+v, %v", rules, err)
	}
}

func TestBadDocumentsAreRefusedWithThePlaceAndTheFix(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		`{"format":1,"name":"prod","retention":{"keep_dayly":1}}`:                                   `policy.retention.keep_dayly: unknown field; did you mean "keep_daily"?`,
		`{"format":1,"name":"prod","retenton":{}}`:                                                  `policy.retenton: unknown field; did you mean "retention"?`,
		`{"format":1,"name":"prod","retention":{"keep_within":"7days"}}`:                            `policy.retention.keep_within: duration "7days"`,
		`{"format":1,"name":"prod","retention":{}}`:                                                 `policy "prod": retention keeps nothing`,
		`{"format":1,"name":"prod"}`:                                                                `retention keeps nothing`,
		`{"format":1,"retention":{"keep_last":1}}`:                                                  `name is missing`,
		`{"format":1,"name":"Prod","retention":{"keep_last":1}}`:                                    `name "Prod": only lower-case`,
		`{"format":1,"name":"-a","retention":{"keep_last":1}}`:                                      `name "-a"`,
		`{"format":1,"name":"` + strings.Repeat("a", 64) + `","retention":{"keep_last":1}}`:         `64 characters`,
		`{"format":1,"name":"prod","timezone":"Berlin","retention":{"keep_last":1}}`:                `timezone: unknown time zone "Berlin"; did you mean "Europe/Berlin"?`,
		`{"format":1,"name":"prod","environment":"a\nb","retention":{"keep_last":1}}`:               `environment: only printable`,
		`{"format":1,"name":"prod","retention":{"keep_daily":30},"storage":{"expire_after":"10d"}}`: `expire_after = "10d" is shorter than keep_daily`,
		`{"name":"prod","retention":{"keep_last":1}}`:                                               `format is 0: give 1`,
		`{"format":2,"name":"prod","new_field":true}`:                                               `format 2 is written by a newer version of pgbackup, this one reads up to 1: upgrade`,
		`{"format":"one"}`: `policy.format: must be a whole number, not text`,
		`{"format":1`:      `cut off`,
	} {
		_, err := policy.Parse([]byte(data))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", data, err, want)
		}
	}
	for n := range 4 { // what is repeated of it is cut between characters
		name := strings.Repeat("a", n) + strings.Repeat("ü€", 40)
		_, err := policy.Parse([]byte(`{"format":1,"name":"` + name + `","retention":{"keep_last":1}}`))
		if err == nil || !utf8.ValidString(err.Error()) || !strings.Contains(err.Error(), "…") || strings.Contains(err.Error(), `\x`) {
			t.Errorf("%v", err)
		}
	}
	if _, err := policy.Parse([]byte(`{"format":7}`)); !errors.Is(err, policy.ErrNewerFormat) {
		t.Error("a newer format is not recognisable")
	}
}

func TestARevisionSurvivesItsStoredForm(t *testing.T) {
	t.Parallel()
	r := policy.Revision{Number: 12, Document: prod(), Envelope: policy.Envelope{
		At: time.Date(2026, 3, 1, 2, 0, 0, 0, time.FixedZone("", 3600)), By: "ci <deploy>", ProviderVersion: "1.2.3", Reason: "less", Approval: "EXPIRE-16-9c41d2", Retired: true,
		Loss: &policy.Loss{Points: 16, Bytes: 1 << 40, AsOf: time.Date(2026, 3, 1, 1, 0, 0, 0, time.FixedZone("", 3600))},
	}}
	data, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), `"by": "ci <deploy>"`) || !strings.HasSuffix(string(data), "}\n") {
		t.Errorf("not made to be read by people:\n%s", data)
	}
	back, err := policy.ParseRevision(data)
	if err != nil {
		t.Fatal(err)
	}
	if r.Envelope.Loss.AsOf.Location() == time.UTC {
		t.Error("writing changed the caller's envelope")
	}
	r.Envelope.At, r.Envelope.Loss.AsOf = r.Envelope.At.UTC(), r.Envelope.Loss.AsOf.UTC()
	if back.Number != 12 || !reflect.DeepEqual(back.Envelope, r.Envelope) || back.Digest() != r.Digest() || back.Key() != r.Key() {
		t.Errorf("%+v", back)
	}
}

func TestADamagedRevisionIsRefused(t *testing.T) {
	t.Parallel()
	loss := &policy.Loss{Points: 2, Bytes: 3, AsOf: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
	data, err := policy.Revision{Number: 1, Document: prod(), Envelope: policy.Envelope{At: time.Now(), Loss: loss}}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{`"keep_daily": 30`, `"keep_daily": 3`, "the document was changed after it was written"},
		{`"revision": 1`, `"revision": 0`, "revision 0: must be from 1"},
		{`"format": 1,`, `"format": 9,`, "policy revision: format 9 is written by a newer version"},
		{`"digest"`, `"digset"`, `did you mean "digest"?`},
		{`"at": "`, `"at": "x`, "policy revision.envelope.at"},
		{`"name": "prod"`, `"name": "PROD"`, "policy revision 1: policy"},
		{`"points": 2`, `"points": -2`, "envelope.loss.points is -2: must be 0 or more"},
		{`"bytes": 3`, `"bytes": -3`, "envelope.loss.bytes is -3: must be 0 or more"},
		{`"as_of": "2026-03-01T00:00:00Z"`, `"as_of": null`, "envelope.loss.as_of is missing"},
		{`"as_of": "2026-03-01T00:00:00Z"`, `"as_of": "9999-12-31T23:00:00-02:00"`, "envelope.loss.as_of: the year 10000 is out of range"},
		{`"points": 2`, `"point": 2`, `did you mean "points"?`},
	} {
		_, err := policy.ParseRevision([]byte(strings.Replace(string(data), c.old, c.new, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %s", c.new, err, c.want)
		}
	}
	if _, err := policy.ParseRevision(data[:len(data)/2]); err == nil {
		t.Error("half a revision was accepted")
	}
	if _, err := (policy.Revision{Number: 1_000_000, Document: prod()}).Encode(); err == nil {
		t.Error("a number that breaks the order of keys was accepted")
	}
	if _, err := (policy.Revision{Number: 1, Document: prod(), Envelope: policy.Envelope{Loss: &policy.Loss{Points: -1}}}).Encode(); err == nil {
		t.Error("a loss of less than nothing was written")
	}
}

func TestRevisionKeys(t *testing.T) {
	t.Parallel()
	digest := prod().Digest()
	key := policy.RevisionKey("prod", 7, digest)
	if want := fmt.Sprintf("policies/prod/000007-%s.json", digest[:12]); key != want || !strings.HasPrefix(key, policy.RevisionPrefix("prod")) {
		t.Errorf("%s, want %s", key, want)
	}
	name, n, short, err := policy.ParseRevisionKey(key)
	if err != nil || name != "prod" || n != 7 || short != digest[:12] {
		t.Error(name, n, short, err)
	}
	for _, bad := range []string{
		"", "policies/prod/000000-aaaaaaaaaaaa.json", "policies/prod/7-aaaaaaaaaaaa.json", "policies/Prod/000001-aaaaaaaaaaaa.json",
		"policies/-a/000001-aaaaaaaaaaaa.json", "policies/prod/000001-AAAAAAAAAAAA.json", "policies/prod/000001-aaaaaaaaaaaa.json.tmp", "x/policies/prod/000001-aaaaaaaaaaaa.json",
	} {
		if _, _, _, err := policy.ParseRevisionKey(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestALossThatWasNotLookedForIsNotALossOfNothing(t *testing.T) {
	t.Parallel()
	for _, loss := range []*policy.Loss{nil, {}} {
		data, err := policy.Revision{Number: 1, Document: prod(), Envelope: policy.Envelope{At: time.Now(), Loss: loss}}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := policy.ParseRevision(data)
		if err != nil || (back.Envelope.Loss == nil) != (loss == nil) {
			t.Errorf("%v became %v: %v", loss, back.Envelope.Loss, err)
		}
	}
}
