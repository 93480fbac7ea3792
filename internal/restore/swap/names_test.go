package swap_test

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore/swap"
)

func TestNamesFitAndEndAtACharacter(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 3, 0, 0, 0, time.FixedZone("east", 3600))
	for _, target := range []string{"app", "x", strings.Repeat("n", 63), strings.Repeat("ü", 31), strings.Repeat("a", 38) + "日本語", `My "App"`} {
		for _, name := range []string{swap.BesideName(target), swap.OldName(target, at, 1), swap.OldName(target, at, 12)} {
			if len(name) > 63 || !utf8.ValidString(name) {
				t.Errorf("%q of %d bytes", name, len(name))
			}
		}
	}
	if got := swap.OldName("app", at, 1); got != "app_before_20260301t020000z" {
		t.Error(got)
	}
	if got := swap.OldName("app", at, 2); got != "app_before_20260301t020000z_2" {
		t.Error(got)
	}
}

func TestOnlyOurOwnLeftoversOfTheSameDatabaseAreRecognised(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 60)
	for range 200 {
		name := swap.BesideName("app")
		if !swap.IsBeside(name, "app") {
			t.Errorf("%s is not recognised", name)
		}
		if swap.IsBeside(name, "App") || swap.IsBeside(name, "ap") || swap.IsBeside("x"+name, "app") || swap.IsBeside(name+"x", "app") {
			t.Errorf("%s passes for another's", name)
		}
		// Names that are the same once they are cut.
		if name = swap.BesideName(long + "abc"); !swap.IsBeside(name, long+"abc") || swap.IsBeside(name, long+"abd") {
			t.Errorf("%s is not told apart", name)
		}
	}
	for _, name := range []string{"app_restoring_", "app_restoring_by_hand", "app_restoring_abcdefghijkl", "app_restoring_abcdefghijklm", "app"} {
		if swap.IsBeside(name, "app") {
			t.Errorf("%s was taken for ours", name)
		}
	}
}

func TestAListOfNamesIsTakenApart(t *testing.T) {
	t.Parallel()
	for list, want := range map[string][]string{
		`"$user", public`: {"$user", "public"}, "": nil, `""`: {""}, `"a""b",c`: {`a"b`, "c"}, `"with, comma" , x`: {"with, comma", "x"}, "a;b": {"a;b"},
	} {
		if got := swap.SplitNames(list); !slices.Equal(got, want) {
			t.Errorf("%q: %q", list, got)
		}
	}
}
