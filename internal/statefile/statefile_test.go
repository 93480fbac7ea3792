package statefile_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/statefile"
)

const lineage = "d57c2d0e-5d57-2cd8-df2c-be8b15ae2586"

// fixture is a state as the CLI wrote it (testdata/first.tfstate: Terraform
// 1.11), with replacements.
func fixture(t testing.TB, replace ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "first.tfstate"))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(replace); i += 2 {
		if !bytes.Contains(data, []byte(replace[i])) {
			t.Fatalf("the fixture has no %q", replace[i])
		}
	}
	return []byte(strings.NewReplacer(replace...).Replace(string(data)))
}

func parse(t *testing.T, data []byte) statefile.State {
	t.Helper()
	s, err := statefile.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestThePoliciesOfAStateAreReadWithTheirAddresses(t *testing.T) {
	t.Parallel()
	s := parse(t, fixture(t))
	if s.Serial != 5 || s.Lineage != lineage || s.TerraformVersion != "1.11.4" || s.Encrypted || len(s.Policies) != 3 {
		t.Fatalf("%+v", s)
	}
	prod := s.Policies["pgbackup_policy.prod"]
	const want = `{"format":1,"name":"prod","environment":"production","timezone":"Europe/Berlin","objectives":{"rpo":"24h","rto":"4h"},` +
		`"retention":{"keep_last":3,"keep_daily":30,"keep_within_weekly":"8w"},"storage":{"expire_after":"2555d"}}`
	if got := string(prod.Document.Canonical()); prod.Problem != nil || got != want || prod.ID != "file:///var/backups/pg#prod" {
		t.Errorf("%v %s\n%s", prod.Problem, prod.ID, got)
	}
	for address, days := range map[string]int{`module.m.pgbackup_policy.each["a"]`: 7, `module.m.pgbackup_policy.each["b"]`: 14} {
		if p, ok := s.Policies[address]; !ok || p.Problem != nil || p.Document.Retention.KeepDaily != days {
			t.Errorf("%s: %+v", address, p)
		}
	}
}

func TestTheDocumentInAStateHasTheDigestThatTheProviderWrote(t *testing.T) {
	t.Parallel()
	data := fixture(t)
	for address, p := range parse(t, data).Policies {
		if !bytes.Contains(data, []byte(`"digest": "`+p.Document.Digest()+`"`)) {
			t.Errorf("%s was read as %s, which is not what was written", address, p.Document.Canonical())
		}
	}
}

func TestNumbersInTextAreNumbersAndDeposedInstancesAreNone(t *testing.T) {
	t.Parallel()
	s := parse(t, fixture(t, `"keep_daily": 14`, `"keep_daily": "14"`, `"keep_daily": 30,`, `"keep_daily": null,`, `"index_key": "a"`, `"deposed": "0badcafe"`))
	if p := s.Policies[`module.m.pgbackup_policy.each["b"]`]; p.Problem != nil || p.Document.Retention.KeepDaily != 14 {
		t.Errorf("%+v", p)
	}
	if p := s.Policies["pgbackup_policy.prod"]; p.Problem != nil || p.Document.Retention.KeepDaily != 0 {
		t.Errorf("%+v", p)
	}
	if len(s.Policies) != 2 {
		t.Errorf("%d policies", len(s.Policies))
	}
}

func TestAPolicyThatIsNotUnderstoodIsOneProblemAndNotTheEndOfTheState(t *testing.T) {
	t.Parallel()
	for from, to := range map[string]string{
		`"keep_last": 3`:    `"keep_quarterly": 3`,
		`"keep_daily": 30,`: `"keep_daily": 3.5,`,
		`"8w"`:              `"8 weeks"`,
		`"rpo": "24h"`:      `"rpo": 24`,
		`"name": "prod",` + "\n            \"obj": `"name": {},` + "\n            \"obj",
	} {
		s := parse(t, fixture(t, from, to))
		if p := s.Policies["pgbackup_policy.prod"]; p.Problem == nil {
			t.Errorf("%s: %+v", to, p)
		}
		if len(s.Policies) != 3 {
			t.Errorf("%s: %d policies are left", to, len(s.Policies))
		}
	}
}

func TestWhatIsNoStateIsRefusedWithoutRepeatingIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":          {nil, "is empty"},
		"cut":            {fixture(t)[:2000], "cut off"},
		"text":           {[]byte("hunter2"), "not valid JSON"},
		"list":           {[]byte(`["hunter2"]`), "is not"},
		"old":            {[]byte(`{"version":3,"serial":1,"lineage":"x","modules":[]}`), `version "3"`},
		"new":            {[]byte(`{"version":5,"serial":1,"lineage":"x"}`), `version "5"`},
		"object":         {[]byte(`{"serial":1}`), `version ""`},
		"fraction":       {fixture(t, `"serial": 5`, `"serial": 5.5`), "serial is missing or not a whole number"},
		"negative":       {fixture(t, `"serial": 5`, `"serial": -5`), "serial is missing"},
		"huge":           {fixture(t, `"serial": 5`, `"serial": 99999999999999999999`), "serial is missing"},
		"no serial":      {fixture(t, `"serial": 5,`, ``), "serial is missing"},
		"serial as text": {fixture(t, `"serial": 5`, `"serial": "hunter2"`), "is not"},
		"wrong type":     {fixture(t, `"mode": "managed"`, `"mode": 4711`), "is not of the type"},
		"bytes":          {[]byte("{\"a\":\"\xff\"}"), "UTF-8"},
		"too long":       {bytes.Repeat([]byte(" "), statefile.MaxSize+1), "at most"},
	} {
		_, err := statefile.Parse(c.data)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %s", name, err, c.want)
			continue
		}
		if text := err.Error(); strings.Contains(text, "hunter2") || strings.Contains(text, "4711") || len(text) > 300 {
			t.Errorf("%s: the error repeats the state: %s", name, text)
		}
	}
}

func TestOnlyTheDigitsOfTheSerialChange(t *testing.T) {
	t.Parallel()
	data := fixture(t)
	out, err := statefile.WithSerial(data, 1234)
	if err != nil {
		t.Fatal(err)
	}
	if want := bytes.Replace(data, []byte(`"serial": 5,`), []byte(`"serial": 1234,`), 1); !bytes.Equal(out, want) {
		t.Errorf("more than the serial changed:\n%s", out)
	}
	if !bytes.Contains(out, []byte("12345678901234567890.5")) || !bytes.Contains(out, []byte(`"serial": 99`)) {
		t.Error("a number of a resource changed")
	}
	odd := []byte(` {"lineage":"\u0073erial","resources":[{"type":"serial","x":{"serial":[1]}}],"version":4 , "serial" :
	5 } `)
	if out, err = statefile.WithSerial(odd, 10); err != nil || string(out) != strings.Replace(string(odd), "\t5", "\t10", 1) {
		t.Errorf("%s, %v", out, err)
	}
}

func TestASerialThatIsNotClearIsNotReplaced(t *testing.T) {
	t.Parallel()
	encrypted, err := os.ReadFile(filepath.Join("testdata", "encrypted.tfstate"))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"twice":     []byte(`{"version":4,"serial":1,"lineage":"x","serial":2}`),
		"case":      []byte(`{"version":4,"serial":1,"lineage":"x","Serial":2}`),
		"no state":  []byte(`{"serial":1`),
		"encrypted": encrypted,
	} {
		if out, err := statefile.WithSerial(data, 9); err == nil {
			t.Errorf("%s became %s", name, out)
		}
	}
	if _, err := statefile.WithSerial(fixture(t), -1); err == nil {
		t.Error("a negative serial was written")
	}
	if s := parse(t, encrypted); !s.Encrypted || s.Serial != 7 || s.Lineage != lineage || s.Policies != nil {
		t.Errorf("%+v", s)
	}
}

func sentences(list []statefile.Change) []string {
	var out []string
	for _, c := range list {
		text := c.What + " " + c.Address
		if c.From != "" {
			text += " from " + c.From
		}
		if c.Problem != nil {
			text += " (" + c.Problem.Error() + ")"
		}
		for _, change := range c.Changes {
			if change.Field == "keep_daily" {
				text += " " + change.Before + "->" + change.After
			}
		}
		out = append(out, text)
	}
	return out
}

func TestDiffTellsWhatBecameOfEachPolicy(t *testing.T) {
	t.Parallel()
	first := parse(t, fixture(t))
	for name, c := range map[string]struct {
		before, after statefile.State
		want          []string
	}{
		"nothing":  {first, parse(t, fixture(t, `"serial": 5`, `"serial": 6`)), nil},
		"spelling": {first, parse(t, fixture(t, `"8w"`, `"56d"`)), nil},
		"shorter":  {first, parse(t, fixture(t, `"keep_daily": 30`, `"keep_daily": 14`)), []string{"changed pgbackup_policy.prod 30->14"}},
		"removed":  {first, parse(t, fixture(t, `"index_key": "a"`, `"deposed": "1"`)), []string{`removed module.m.pgbackup_policy.each["a"]`}},
		"declared": {parse(t, fixture(t, `"index_key": "a"`, `"deposed": "1"`)), first, []string{`declared module.m.pgbackup_policy.each["a"] none->7`}},
		"moved":    {first, parse(t, fixture(t, `"name": "each"`, `"name": "all"`)), []string{`moved module.m.pgbackup_policy.all["a"] from module.m.pgbackup_policy.each["a"]`, `moved module.m.pgbackup_policy.all["b"] from module.m.pgbackup_policy.each["b"]`}},
		"unclear":  {first, parse(t, fixture(t, `"8w"`, `"?"`)), []string{"unclear pgbackup_policy.prod (its attribute retention is not as this program knows it: keep_within_weekly is not a length of time)"}},
	} {
		if got := sentences(statefile.Diff(c.before, c.after)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
	still := parse(t, fixture(t, `"8w"`, `"?"`))
	if got := statefile.Diff(still, still); len(got) != 0 {
		t.Errorf("what stays unclear is a change: %v", got)
	}
}

func TestResourcesAreComparedWithoutTheirValues(t *testing.T) {
	t.Parallel()
	before := parse(t, fixture(t))
	after := parse(t, fixture(t, "hunter2", "hunter3", `"index_key": "a"`, `"index_key": 0`))
	added, removed, changed := statefile.Resources(before, after)
	if !slices.Equal(added, []string{"module.m.pgbackup_policy.each[0]"}) || !slices.Equal(removed, []string{`module.m.pgbackup_policy.each["a"]`}) || !slices.Equal(changed, []string{"random_password.db"}) {
		t.Errorf("%q %q %q", added, removed, changed)
	}
	if len(before.Resources) != 5 {
		t.Errorf("%d resources", len(before.Resources))
	}
}

func FuzzStateFile(f *testing.F) {
	f.Add(fixture(f), int64(6))
	f.Add([]byte(`{"version":4,"serial":1,"lineage":"x","resources":[{"mode":"managed","type":"pgbackup_policy","instances":[{"index_key":1.0,"attributes":null}]}]}`), int64(2))
	f.Add([]byte(`{"serial":7,"lineage":"x","encrypted_data":"c2VjcmV0"}`), int64(8))
	f.Add([]byte(`{"version":4,"serial":1,"serial":2}`), int64(0))
	f.Fuzz(func(t *testing.T, data []byte, serial int64) {
		s, err := statefile.Parse(data)
		if err != nil {
			return
		}
		if len(statefile.Diff(s, s)) != 0 {
			t.Fatal("a state differs from itself")
		}
		statefile.Diff(statefile.State{}, s)
		out, err := statefile.WithSerial(data, serial)
		if err != nil {
			return
		}
		again, err := statefile.Parse(out)
		if err != nil || again.Serial != serial || again.Lineage != s.Lineage || len(again.Policies) != len(s.Policies) {
			t.Fatalf("%+v became %+v, %v", s, again, err)
		}
		var a, b map[string]json.RawMessage
		if json.Unmarshal(data, &a) != nil || json.Unmarshal(out, &b) != nil || len(a) != len(b) {
			t.Fatal("the document changed")
		}
		for name, value := range a {
			if name != "serial" && !bytes.Equal(value, b[name]) {
				t.Fatalf("%q changed", name)
			}
		}
	})
}
