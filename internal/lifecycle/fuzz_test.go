package lifecycle

import (
	"bytes"
	"errors"
	"testing"
)

// FuzzMerge holds what a bucket's other owners rely on, for any document: their
// rules keep every byte and their order, merging again changes nothing, and the
// order in which two owners merge makes no difference to what the document means.
func FuzzMerge(f *testing.F) {
	a, b := Repository("a"), Policy("prod", "b")
	rulesA := OfRepository("a", 30, 7)
	rulesB := []Rule{{ID: b.id(allTiers), Prefix: "b/points/", Tags: map[string]string{TagPolicy: "prod", "<&>": "\"'"}, Transitions: []Transition{{90, "GLACIER"}}}}
	for _, seed := range []string{
		"", "<LifecycleConfiguration/>", `<s:LifecycleConfiguration xmlns:s="u"><s:Rule/><s:Rule/></s:LifecycleConfiguration>`,
		"<LifecycleConfiguration>" + foreignRule + "</LifecycleConfiguration>",
		"<LifecycleConfiguration><Rule><ID>old</ID><Prefix>old/</Prefix></Rule></LifecycleConfiguration>",
		"<LifecycleConfiguration>\n<Rule><ID>" + a.id(partVersions) + "</ID></Rule>\n" + foreignRule + "<Rule><ID>" + a.id(partVersions) + "</ID></Rule>\n</LifecycleConfiguration>",
	} {
		f.Add([]byte(seed))
	}
	merged := func(t *testing.T, raw []byte, o Owner, rules []Rule) []byte {
		c, err := Parse(raw)
		if err != nil {
			t.Fatalf("%v in\n%q", err, raw)
		}
		out, _, err := c.Merge(o, rules)
		if err != nil {
			t.Fatalf("%v in\n%q", err, raw)
		}
		return out
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		before, err := Parse(raw)
		if err != nil || before.Len() > MaxRules-len(rulesA)-len(rulesB) {
			return
		}
		if old := (*OldFormError)(nil); errors.As(before.mixes([]edit{{text: []byte("<Rule/>")}}), &old) {
			if out, _, err := before.Merge(a, rulesA); !errors.As(err, &old) && !bytes.Equal(out, raw) {
				t.Fatalf("%q became %q beside the older form, %v", raw, out, err)
			}
			return
		}
		one := merged(t, merged(t, raw, a, rulesA), b, rulesB)
		two := merged(t, merged(t, raw, b, rulesB), a, rulesA)
		for _, out := range [][]byte{one, two, merged(t, merged(t, one, a, nil), b, nil)} {
			after, err := Parse(out)
			if err != nil {
				t.Fatalf("%q became %q: %v", raw, out, err)
			}
			was, is := before.others(a, b), after.others(a, b)
			if len(was) != len(is) {
				t.Fatalf("%d foreign rules became %d: %q -> %q", len(was), len(is), raw, out)
			}
			for i := range was {
				if !bytes.Equal(was[i], is[i]) {
					t.Fatalf("rule %q became %q", was[i], is[i])
				}
			}
		}
		for _, out := range [][]byte{one, two} {
			c, _ := Parse(out)
			if d := append(Drift(rulesA, c.Own(a)), Drift(rulesB, c.Own(b))...); len(d) > 0 {
				t.Fatalf("%q: %q", out, d)
			}
			if again := merged(t, out, a, rulesA); !bytes.Equal(again, out) {
				t.Fatalf("%q became %q when merged again", out, again)
			}
		}
	})
}

// others gives the bytes of every rule that belongs to none of the owners.
func (c Configuration) others(owners ...Owner) [][]byte {
	var all [][]byte
rules:
	for _, r := range c.rules {
		for _, o := range owners {
			if r.known && o.Owns(r.ID) {
				continue rules
			}
		}
		all = append(all, c.raw[r.start:r.end])
	}
	return all
}
