package identifier_test

import (
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/identifier"
)

func TestNamesThatBecomeKeysAreChecked(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a", "prod", "prod-eu-1", "0", strings.Repeat("a", 63)} {
		if err := identifier.Check(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, want := range map[string]string{
		"": "is missing", strings.Repeat("a", 64): "64 characters", "Prod": "only lower-case", "-a": "only lower-case",
		"a-": "only lower-case", "a/b": "only lower-case", "a.b": "only lower-case", "ä": "only lower-case", "a\n": "only lower-case",
	} {
		if err := identifier.Check(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %s", name, err, want)
		}
	}
}
