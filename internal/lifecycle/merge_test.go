package lifecycle

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// foreignRule holds what typed SDK structs and other programs lose: unknown
// elements, size filters, comments, odd spacing, entities, CDATA.
const foreignRule = `<Rule xmlns:x="urn:x" x:y = 'z'>
    <ID>legal &amp; tax</ID><!-- ask Ann -->
	<Filter><And><ObjectSizeGreaterThan>1</ObjectSizeGreaterThan><Prefix><![CDATA[a<b]]></Prefix></And></Filter>
    <NewThing2031 unit="eons"/><Status>Enabled</Status>
    <NoncurrentVersionExpiration><NewerNoncurrentVersions>3</NewerNoncurrentVersions><NoncurrentDays>0030</NoncurrentDays></NoncurrentVersionExpiration>
  </Rule>`

func parse(t *testing.T, raw []byte) Configuration {
	t.Helper()
	c, err := Parse(raw)
	if err != nil {
		t.Fatalf("%v in\n%s", err, raw)
	}
	return c
}

func merge(t *testing.T, raw []byte, owner Owner, rules []Rule) []byte {
	t.Helper()
	merged, changed, err := parse(t, raw).Merge(owner, rules)
	if err != nil {
		t.Fatal(err)
	}
	if changed == bytes.Equal(raw, merged) {
		t.Errorf("changed is %t for %s -> %s", changed, raw, merged)
	}
	if got := parse(t, merged).Own(owner); len(Drift(rules, got)) > 0 {
		t.Errorf("merged %v, found %v in\n%s", rules, got, merged)
	}
	return merged
}

func TestRulesComeAndGoAroundForeignOnesWithoutATrace(t *testing.T) {
	owner := Repository("pg")
	for _, before := range []string{
		`<?xml version="1.0" encoding="UTF-8"?>` + "\r\n<!-- bucket of acme -->\n<LifecycleConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\n  " + foreignRule + "\n  <!-- last -->\n</LifecycleConfiguration >\n",
		`<LifecycleConfiguration>` + foreignRule + `</LifecycleConfiguration>`,
		`<s3:LifecycleConfiguration xmlns:s3="http://s3.amazonaws.com/doc/2006-03-01/"><s3:Rule><s3:ID>a</s3:ID></s3:Rule></s3:LifecycleConfiguration>`,
		"\ufeff<LifecycleConfiguration a=\"/>\"><Rule/></LifecycleConfiguration>",
	} {
		with := merge(t, []byte(before), owner, OfRepository("pg", 30, 7))
		other := merge(t, with, owner, OfRepository("pg", 90, 7))
		without := merge(t, other, owner, nil)
		if string(without) != before {
			t.Errorf("became\n%s\nwas\n%s", without, before)
		}
		if slices.ContainsFunc([][]byte{with, other}, func(raw []byte) bool {
			return !strings.Contains(before, foreignRule) != !bytes.Contains(raw, []byte(foreignRule))
		}) {
			t.Errorf("the foreign rule is not as it was:\n%s\n%s", with, other)
		}
	}
}

func TestTheFirstRuleMakesTheDocument(t *testing.T) {
	owner, rules := Repository(""), OfRepository("", 30, 0)
	want := `<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Rule><ID>pgbackup/repository/versions@` + place("") + `</ID><Filter><Prefix></Prefix></Filter><Status>Enabled</Status>` +
		`<NoncurrentVersionExpiration><NoncurrentDays>30</NoncurrentDays></NoncurrentVersionExpiration></Rule></LifecycleConfiguration>`
	for _, empty := range []string{"", "\n", `<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>`, `<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></LifecycleConfiguration>`} {
		merged := merge(t, []byte(empty), owner, rules)
		if string(merged) != want {
			t.Errorf("from %q:\n%s\nwant\n%s", empty, merged, want)
		}
		if left := parse(t, merge(t, merged, owner, nil)); left.Len() != 0 {
			t.Errorf("%d rules are left", left.Len())
		}
	}
}

func TestARuleThatMeansTheSameInAnotherFormStaysAsItIs(t *testing.T) {
	doc := parsed(t, `{"format":1,"name":"prod","retention":{"keep_daily":30,"keep_monthly":12},
		"storage":{"transitions":[{"after":"30d","class":"STANDARD_IA","tiers":["daily"]},{"after":"90d","class":"GLACIER","tiers":["daily"]}]}}`)
	owner, rules := Policy("prod", "pg"), OfPolicy(doc, "pg")
	normalised := []byte(`<LifecycleConfiguration><Rule><Status>Enabled</Status>
		<Transition><StorageClass>GLACIER</StorageClass><Days> 90 </Days></Transition><Transition><StorageClass>STANDARD_IA</StorageClass><Days>30</Days></Transition>
		<Filter><And><Tag><Value>daily</Value><Key>pgbackup-tier</Key></Tag><Tag><Key>pgbackup-policy</Key><Value>prod</Value></Tag><Prefix>pg/points/</Prefix></And></Filter>
		<Expiration></Expiration><ID>pgbackup/prod/daily@` + place("pg") + `</ID></Rule></LifecycleConfiguration>`)
	merged, changed, err := parse(t, normalised).Merge(owner, rules)
	if err != nil || changed || !bytes.Equal(merged, normalised) {
		t.Errorf("changed %t, %v:\n%s", changed, err, merged)
	}
	legacy := []byte(`<LifecycleConfiguration><Rule><ID>pgbackup/repository/uploads@` + place("") + `</ID><Prefix/><Status>Enabled</Status><AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule></LifecycleConfiguration>`)
	if _, changed, err := parse(t, legacy).Merge(Repository(""), OfRepository("", 0, 7)); err != nil || changed {
		t.Errorf("with the older filter: changed %t, %v", changed, err)
	}
}

func TestWhatSomebodyChangedInOurRuleIsSaidAndRepaired(t *testing.T) {
	owner, rules := Repository("pg"), OfRepository("pg", 30, 7)
	good := string(merge(t, nil, owner, rules))
	for change, want := range map[[2]string]string{
		{"Enabled", "Disabled"}:                       "is switched off",
		{"<NoncurrentDays>30<", "<NoncurrentDays>3<"}: "ends non-current versions after 3 days, not after 30 days as declared",
		{"<Prefix>pg/<", "<Prefix>other/<"}:           `is for keys below "other/", not "pg/" as declared`,
		{"<Prefix>pg/</Prefix>", "<And><Prefix>pg/</Prefix><ObjectSizeLessThan>5</ObjectSizeLessThan></And>"}: "has Filter/And/ObjectSizeLessThan, which pgbackup never writes",
		{"<Status>", "<Expiration><Days>1</Days></Expiration><Status>"}:                                       "has Expiration, which pgbackup never writes",
		{"<NoncurrentDays>30</NoncurrentDays>", "<NoncurrentDays>many</NoncurrentDays>"}:                      "has NoncurrentVersionExpiration/NoncurrentDays",
		{"versions@", "versions-of-ann@"}:                                                                     "is missing",
	} {
		changed := strings.Replace(good, change[0], change[1], 1)
		drift := Drift(rules, parse(t, []byte(changed)).Own(owner))
		if !slices.ContainsFunc(drift, func(s string) bool { return strings.Contains(s, want) }) {
			t.Errorf("%v: %q, want %q", change, drift, want)
		}
		merge(t, []byte(changed), owner, rules)
	}
	if drift := Drift(rules[:1], rules); len(drift) != 1 || !strings.Contains(drift[0], "uploads@"+place("pg")+" is not declared any more") {
		t.Errorf("%q", drift)
	}
	twice := strings.Replace(good, "<Rule>", good[strings.Index(good, "<Rule>"):strings.Index(good, "</Rule>")]+"</Rule><Rule>", 1)
	if drift := Drift(rules, parse(t, []byte(twice)).Own(owner)); len(drift) != 1 || !strings.Contains(drift[0], "is there twice") {
		t.Errorf("%q", drift)
	}
	if got := merge(t, []byte(twice), owner, rules); parse(t, got).Len() != 2 {
		t.Errorf("%s", got)
	}
}

func TestTwoOwnersInEitherOrderMeanTheSame(t *testing.T) {
	a, b := Repository("a"), Repository("b")
	rulesA, rulesB := OfRepository("a", 1, 2), OfRepository("b", 3, 4)
	one := merge(t, merge(t, []byte(`<LifecycleConfiguration>`+foreignRule+`</LifecycleConfiguration>`), a, rulesA), b, rulesB)
	two := merge(t, merge(t, []byte(`<LifecycleConfiguration>`+foreignRule+`</LifecycleConfiguration>`), b, rulesB), a, rulesA)
	for _, raw := range [][]byte{one, two} {
		c := parse(t, raw)
		if !reflect.DeepEqual(c.Own(a), rulesA) || !reflect.DeepEqual(c.Own(b), rulesB) || !slices.Equal(c.Foreign(), []string{"legal & tax"}) {
			t.Errorf("%s", raw)
		}
	}
}

func TestABucketWithAThousandRulesTakesNoMore(t *testing.T) {
	var full strings.Builder
	full.WriteString("<LifecycleConfiguration>")
	for i := range MaxRules - 1 {
		fmt.Fprintf(&full, "<Rule><ID>%d</ID></Rule>", i)
	}
	full.WriteString("</LifecycleConfiguration>")
	c := parse(t, []byte(full.String()))
	if _, _, err := c.Merge(Repository("pg"), OfRepository("pg", 1, 1)); !errors.Is(err, ErrTooManyRules) || !strings.Contains(err.Error(), `999 already, and with those of the repository below "pg" it would have 1001`) {
		t.Errorf("%v", err)
	}
	merge(t, []byte(full.String()), Repository("pg"), OfRepository("pg", 1, 0))
}

func TestMergeRefusesRulesOfSomebodyElse(t *testing.T) {
	if _, _, err := parse(t, nil).Merge(Repository("a"), OfRepository("b", 1, 1)); err == nil {
		t.Error("another repository's rules were merged")
	}
	twice := append(OfRepository("a", 1, 0), OfRepository("a", 2, 0)...)
	if _, _, err := parse(t, nil).Merge(Repository("a"), twice); err == nil {
		t.Error("two rules with one id were merged")
	}
}

func TestARuleWithTwoIdsOrNoneIsForeign(t *testing.T) {
	id := OfRepository("a", 1, 0)[0].ID
	raw := []byte(`<LifecycleConfiguration xmlns="urn:a"><Rule><ID>` + id + `</ID><ID>x</ID></Rule><Rule><Status/></Rule><Rule xmlns="urn:b"><ID>` + id + `</ID></Rule><Rule><Filter><ID>` + id + `</ID></Filter></Rule></LifecycleConfiguration>`)
	c := parse(t, raw)
	if own := c.Own(Repository("a")); own != nil || len(c.Foreign()) != 3 {
		t.Errorf("own %v, foreign %q", own, c.Foreign())
	}
	if merged := merge(t, raw, Repository("a"), nil); !bytes.Equal(merged, raw) {
		t.Errorf("%s", merged)
	}
}

func TestHostileDocumentsAreRefusedAndNamed(t *testing.T) {
	for name, c := range map[string]struct{ raw, want string }{
		"another root":      {"<Error><Code>NoSuchKey</Code></Error>", "<Error>, not a <LifecycleConfiguration>"},
		"html":              {"<!DOCTYPE html><html></html>", "document type declaration"},
		"entities":          {`<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><LifecycleConfiguration>&b;</LifecycleConfiguration>`, "document type declaration"},
		"unknown entity":    {`<LifecycleConfiguration>&b;</LifecycleConfiguration>`, "not well-formed"},
		"two roots":         {`<LifecycleConfiguration/><LifecycleConfiguration/>`, "more than one document element"},
		"text after":        {`<LifecycleConfiguration/>x`, "text outside"},
		"cut off":           {`<LifecycleConfiguration><Rule>`, "not well-formed"},
		"crossed":           {`<LifecycleConfiguration><Rule></LifecycleConfiguration></Rule>`, "not well-formed"},
		"deep":              {strings.Repeat("<LifecycleConfiguration>", 100) + strings.Repeat("</LifecycleConfiguration>", 100), "within each other"},
		"many":              {`<LifecycleConfiguration>` + strings.Repeat("<a/>", 300_000) + `</LifecycleConfiguration>`, "elements"},
		"huge":              {`<LifecycleConfiguration>` + strings.Repeat(" ", 9<<20) + `</LifecycleConfiguration>`, "bytes"},
		"other encoding":    {`<?xml version="1.0" encoding="UTF-16"?><LifecycleConfiguration/>`, "not well-formed"},
		"bytes":             {"\x00\x01\xff", "not well-formed"},
		"control character": {"<LifecycleConfiguration>\x01</LifecycleConfiguration>", "not well-formed"},
	} {
		if _, err := Parse([]byte(c.raw)); !errors.Is(err, ErrNotConfiguration) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
}
