package main

import (
	"fmt"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// describePhysicalPoint says what a base backup is.
func describePhysicalPoint(m *repo.Manifest, add func(name, format string, args ...any)) {
	p := m.Physical
	if p == nil {
		return
	}
	if m.Parent != "" {
		add("builds on", "%s", m.Parent)
		add("combined", "about %s", size(p.Full))
	}
	add("log", "from %s to %s of timeline %s", p.StartLSN, p.StopLSN, p.Timeline)
	add("recoverable", "from %s on, as far as the archived log reaches", stamp(p.Stopped))
	checked := "every file, as the server's own manifest says"
	if p.PageChecksums {
		checked += "; page checksums, by the server"
	}
	add("checked", "%s", checked)
	add("data directory", "%s", p.DataDirectory)
	for _, t := range p.Tablespaces {
		add(fmt.Sprintf("tablespace %d", t.OID), "%s", t.Location)
	}
}
