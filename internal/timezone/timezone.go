// Package timezone turns an IANA name into a *time.Location with an error that
// helps. It carries the zone database in the program, so that a policy means
// the same on a laptop and in a container without /usr/share/zoneinfo.
package timezone

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // the zone database for machines that have none

	"github.com/pgbackup/terraform-provider-pgbackup/internal/nearest"
)

// Load resolves an IANA time zone name such as "Europe/Berlin". The empty name
// is UTC. "Local" is refused: it means something else on every machine.
func Load(name string) (*time.Location, error) {
	if name == "" || name == "UTC" {
		return time.UTC, nil
	}
	if strings.EqualFold(name, "local") {
		return nil, fmt.Errorf("time zone %q differs from machine to machine: give an IANA name such as \"Europe/Berlin\" or \"UTC\"", name)
	}
	if loc, err := time.LoadLocation(name); err == nil {
		return loc, nil
	}
	if guess, ok := guess(name); ok {
		return nil, fmt.Errorf("unknown time zone %q; did you mean %q?", name, guess)
	}
	return nil, fmt.Errorf("unknown time zone %q: give an IANA name such as \"Europe/Berlin\" or \"UTC\"", name)
}

// wellKnown are the zones that typing errors are compared with. The full list
// is not readable through package time; the zones of the big cities are what
// people mistype.
var wellKnown = strings.Fields(`UTC
	Europe/London Europe/Dublin Europe/Lisbon Europe/Berlin Europe/Paris Europe/Madrid Europe/Rome Europe/Vienna Europe/Zurich
	Europe/Amsterdam Europe/Brussels Europe/Copenhagen Europe/Stockholm Europe/Oslo Europe/Helsinki Europe/Warsaw Europe/Prague
	Europe/Budapest Europe/Bucharest Europe/Sofia Europe/Athens Europe/Istanbul Europe/Kyiv Europe/Moscow
	America/New_York America/Chicago America/Denver America/Phoenix America/Los_Angeles America/Anchorage America/Toronto
	America/Vancouver America/Halifax America/Mexico_City America/Bogota America/Lima America/Santiago America/Sao_Paulo
	America/Argentina/Buenos_Aires Africa/Cairo Africa/Johannesburg Africa/Lagos Africa/Nairobi Africa/Casablanca
	Asia/Jerusalem Asia/Riyadh Asia/Dubai Asia/Tehran Asia/Karachi Asia/Kolkata Asia/Dhaka Asia/Bangkok Asia/Jakarta
	Asia/Ho_Chi_Minh Asia/Singapore Asia/Hong_Kong Asia/Shanghai Asia/Taipei Asia/Manila Asia/Seoul Asia/Tokyo
	Australia/Perth Australia/Adelaide Australia/Brisbane Australia/Sydney Australia/Melbourne Pacific/Auckland Pacific/Honolulu`)

func guess(name string) (string, bool) {
	if got, ok := nearest.Name(name, wellKnown); ok {
		return got, true
	}
	// "Berlin" and "new york" name the city without its region.
	for _, zone := range wellKnown {
		city := zone[strings.LastIndexByte(zone, '/')+1:]
		if _, ok := nearest.Name(name, []string{city}); ok {
			return zone, true
		}
	}
	return "", false
}
