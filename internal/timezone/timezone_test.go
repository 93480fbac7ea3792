package timezone_test

import (
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/timezone"
)

func TestZonesResolveByTheirIANAName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"": "UTC", "UTC": "UTC", "Europe/Berlin": "Europe/Berlin", "America/Argentina/Buenos_Aires": "America/Argentina/Buenos_Aires"} {
		loc, err := timezone.Load(name)
		if err != nil || loc.String() != want {
			t.Errorf("%q: %v, %v", name, loc, err)
		}
	}
}

func TestUnknownZonesAreRefusedWithTheNearestName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Local":         "differs from machine to machine",
		"local":         "differs from machine to machine",
		"Europe/Berln":  `did you mean "Europe/Berlin"?`,
		"Berlin":        `did you mean "Europe/Berlin"?`,
		"new york":      `did you mean "America/New_York"?`,
		"Mars/Olympus":  "give an IANA name",
		"../etc/passwd": "give an IANA name",
	} {
		if _, err := timezone.Load(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %s", name, err, want)
		}
	}
}
