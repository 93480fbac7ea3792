package scratch

import (
	"fmt"
	"maps"
	"path/filepath"
	"strconv"
)

// kept are settings of which the data may need as much as its server had: prepared
// transactions take their places again when recovery ends, and their locks.
var kept = []string{"max_prepared_transactions", "max_locks_per_transaction"}

// configureFilled writes the only settings that the server has.
func (c *Cluster) configureFilled(o Options) error {
	all := c.all(o.Settings)
	all["lc_messages"] = "C"
	if o.Filled.Recovery != nil {
		script, err := c.openFeed(o.Filled, o.Log)
		if err != nil {
			return fmt.Errorf("make ready to bring WAL to the server: %w", err)
		}
		maps.Copy(all, o.Filled.Recovery.configured(script))
		if err := c.replace("recovery.signal", ""); err != nil {
			return fmt.Errorf("write the settings: %w", err)
		}
	}
	for _, name := range kept {
		all[name] = higher(all[name], o.Filled.Had[name])
	}
	// A server refuses to start with less than two segments.
	if size := o.Filled.SegmentSize; size > 32<<20 {
		all["min_wal_size"] = strconv.FormatUint(2*size>>20, 10) + "MB"
	}
	if c.programs.Major >= 17 {
		all["event_triggers"] = "off" // of logins: they would run before anybody asked
	}
	all["hba_file"], all["ident_file"] = filepath.Join(c.data(), "pg_hba.conf"), filepath.Join(c.data(), "pg_ident.conf")
	for name, text := range map[string]string{"postgresql.conf": written(all), "postgresql.auto.conf": "", "pg_ident.conf": ""} {
		if err := c.replace(name, text); err != nil {
			return fmt.Errorf("write the settings: %w", err)
		}
	}
	return nil
}

// higher is the higher of two numbers; one that is none counts for 0.
func higher(a, b string) string {
	x, _ := strconv.Atoi(a)
	y, _ := strconv.Atoi(b)
	return strconv.Itoa(max(x, y))
}
