package lifecycle

import (
	"reflect"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
)

func parsed(t *testing.T, json string) policy.Document {
	t.Helper()
	doc, err := policy.Parse([]byte(json))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestTransitionsForAllTiersAreOneRule(t *testing.T) {
	doc := parsed(t, `{"format":1,"name":"prod","retention":{"keep_daily":30,"keep_monthly":12},
		"storage":{"transitions":[{"after":"180d","class":"DEEP_ARCHIVE"},{"after":"30d","class":"STANDARD_IA"}]}}`)
	want := []Rule{{
		ID: "pgbackup/prod/all@" + place("pg"), Prefix: "pg/points/", Tags: map[string]string{"pgbackup-policy": "prod"},
		Transitions: []Transition{{30, "STANDARD_IA"}, {180, "DEEP_ARCHIVE"}},
	}}
	if got := OfPolicy(doc, "pg"); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if got := OfPolicy(doc, ""); got[0].Prefix != "points/" || got[0].ID == want[0].ID {
		t.Errorf("in the whole bucket: %+v", got)
	}
}

func TestTiersThatMoveApartHaveRulesOfTheirOwn(t *testing.T) {
	doc := parsed(t, `{"format":1,"name":"prod","retention":{"keep_daily":30,"keep_monthly":12,"keep_yearly":7},
		"storage":{"class":"STANDARD_IA","classes":{"yearly":"GLACIER"},"transitions":[{"after":"90d","class":"GLACIER_IR","tiers":["monthly"]}]}}`)
	tags := func(tier string) map[string]string {
		return map[string]string{"pgbackup-policy": "prod", "pgbackup-tier": tier}
	}
	want := []Rule{
		{ID: "pgbackup/prod/monthly@" + place("pg"), Prefix: "pg/points/", Tags: tags("monthly"), Transitions: []Transition{{90, "GLACIER_IR"}}},
		// Uploaded as daily ones to STANDARD_IA, moved once they are yearly.
		{ID: "pgbackup/prod/yearly@" + place("pg"), Prefix: "pg/points/", Tags: tags("yearly"), Transitions: []Transition{{1, "GLACIER"}}},
	}
	if got := OfPolicy(doc, "/pg/"); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestAPolicyWithoutTransitionsHasNoRules(t *testing.T) {
	doc := parsed(t, `{"format":1,"name":"prod","retention":{"keep_daily":30},"storage":{"class":"STANDARD_IA","expire_after":"365d"}}`)
	if got := OfPolicy(doc, "pg"); got != nil {
		t.Errorf("got %+v", got)
	}
	if got := OfPolicy(policy.Document{}, "pg"); got != nil {
		t.Errorf("of no policy: %+v", got)
	}
}

func TestPointsAreNotMovedToAClassAboveTheOneTheyWereUploadedTo(t *testing.T) {
	// S3 has no way up, and refuses the whole document for such a rule.
	doc := parsed(t, `{"format":1,"name":"prod","retention":{"keep_daily":30,"keep_yearly":7},"storage":{"classes":{"daily":"STANDARD_IA"}}}`)
	if got := OfPolicy(doc, "pg"); got != nil {
		t.Errorf("got %+v", got)
	}
}

func TestEveryRuleBelongsToExactlyOneOwner(t *testing.T) {
	repository := parsed(t, `{"format":1,"name":"repository","retention":{"keep_daily":3},"storage":{"transitions":[{"after":"30d","class":"GLACIER"}]}}`)
	all := map[string][]Rule{
		"policy repository in a": OfPolicy(repository, "a"),
		"policy repository in b": OfPolicy(repository, "b"),
		"repository a":           OfRepository("a", 30, 7),
		"repository b":           OfRepository("b", 30, 7),
	}
	owners := map[string]Owner{
		"policy repository in a": Policy("repository", "a"), "policy repository in b": Policy("repository", "b"),
		"repository a": Repository("a"), "repository b": Repository("b"),
	}
	for of, rules := range all {
		if len(rules) == 0 {
			t.Errorf("%s has no rules", of)
		}
		for _, r := range rules {
			for name, o := range owners {
				if o.Owns(r.ID) != (name == of) {
					t.Errorf("%s owns the rule %s of %s: %t", name, r.ID, of, o.Owns(r.ID))
				}
			}
		}
	}
}
