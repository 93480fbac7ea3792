package impact_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/impact"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
	"pgregory.net/rapid"
)

func setOf(names ...string) impact.Set {
	var s impact.Set
	for _, name := range names {
		s.Add(impact.SetOf(name))
	}
	return s
}

func berlin(t testing.TB) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func TestACodeDependsOnEverythingItApprovesAndOnNothingElse(t *testing.T) {
	t.Parallel()
	rules := func(days int) retention.Rules {
		return retention.Rules{Keep: retention.Keep{KeepDaily: days, KeepWithin: duration.MustParse("24h")}}
	}
	before, lost := rules(30), setOf("a", "b")
	code := impact.Code("repo", "prod", &before, rules(14), lost)
	if n, digest, err := impact.ParseCode(code); err != nil || n != 2 || len(digest) != 6 {
		t.Fatalf("%s: %d %s %v", code, n, digest, err)
	}
	respelled := rules(14)
	respelled.KeepWithin = duration.MustParse("1d")
	respelled.Location = time.UTC
	if again := impact.Code("repo", "prod", &before, respelled, setOf("b", "a")); again != code {
		t.Errorf("the same, said otherwise, is %s, not %s", again, code)
	}
	elsewhere, ceiling := rules(14), rules(14)
	elsewhere.Location = berlin(t)
	ceiling.ExpireAfter = duration.MustParse("90d")
	longer := rules(31)
	for what, other := range map[string]string{
		"repository":     impact.Code("repo2", "prod", &before, rules(14), lost),
		"policy":         impact.Code("repo", "test", &before, rules(14), lost),
		"rules before":   impact.Code("repo", "prod", &longer, rules(14), lost),
		"nothing before": impact.Code("repo", "prod", nil, rules(14), lost),
		"rules after":    impact.Code("repo", "prod", &before, rules(13), lost),
		"time zone":      impact.Code("repo", "prod", &before, elsewhere, lost),
		"ceiling":        impact.Code("repo", "prod", &before, ceiling, lost),
		"points":         impact.Code("repo", "prod", &before, rules(14), setOf("a", "c")),
		"more points":    impact.Code("repo", "prod", &before, rules(14), setOf("a", "b", "c")),
	} {
		if other == code {
			t.Errorf("another %s has the same code", what)
		}
	}
	if code := impact.Code("repo", "prod", &before, rules(14), impact.Set{}); code != "" {
		t.Errorf("no loss has the code %s", code)
	}
}

func TestTheCodeIsPinned(t *testing.T) {
	t.Parallel()
	before := retention.Rules{Keep: retention.Keep{KeepDaily: 30}}
	after := retention.Rules{Keep: retention.Keep{KeepDaily: 14}}
	// A code that was copied from a plan must not become void with an update.
	if code := impact.Code("0123456789abcdef", "prod", &before, after, setOf("app/logical/20260301T020000Z-abcdefgh")); code != "EXPIRE-1-787d0f" {
		t.Errorf("got %s", code)
	}
}

func TestMalformedCodesAreRefusedWithAnExample(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "EXPIRE-16", "EXPIRE-16-9c41d", "EXPIRE-16-9c41d23", "expire-16-9c41d2", "EXPIRE-0-9c41d2", "EXPIRE-016-9c41d2", "EXPIRE-16-9C41D2",
		" EXPIRE-16-9c41d2", "EXPIRE-16-9c41d2\n", "EXPIRE--1-9c41d2", "EXPIRE-99999999999999999999-9c41d2", "RESTORE-PROD-20260301", strings.Repeat("x", 1000)} {
		_, _, err := impact.ParseCode(bad)
		if err == nil || !strings.Contains(err.Error(), "EXPIRE-16-9c41d2") || len(err.Error()) > 400 {
			t.Errorf("%.40q: %v", bad, err)
		}
	}
}

func TestASetDoesNotRememberTheWayThere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		model := map[string]bool{}
		var walked impact.Set
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			name := fmt.Sprint("point ", rapid.IntRange(0, 9).Draw(t, "point"))
			if model[name] {
				walked.Remove(impact.SetOf(name))
			} else {
				walked.Add(impact.SetOf(name))
			}
			model[name] = !model[name]
		}
		var names []string
		for name, in := range model {
			if in {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		straight := setOf(names...)
		if walked != straight || walked.Len() != len(names) {
			t.Fatalf("%+v after the walk, %+v straight", walked, straight)
		}
		if len(names) > 1 && setOf(names[1:]...) == walked {
			t.Fatal("another set is equal")
		}
	})
}
