package replication

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
)

// Identity is what a server says of itself.
type Identity struct {
	System   string         // identifier of the cluster, decimal; the same on its standbys
	Timeline pgwal.Timeline // that it is on
	At       pgwal.LSN      // flushed up to here; on a standby received or replayed
	Database string         // "" on a connection for physical replication
}

// Identify asks the server who it is (IDENTIFY_SYSTEM).
func (c *Conn) Identify(ctx context.Context) (Identity, error) {
	fail := func(err error) (Identity, error) {
		return Identity{}, fmt.Errorf("identify the server %s: %w", c.target, err)
	}
	row, err := c.one(ctx, "IDENTIFY_SYSTEM")
	if err != nil {
		return fail(err)
	}
	if len(row) < 3 {
		return fail(fmt.Errorf("%d columns were answered", len(row)))
	}
	if _, err := strconv.ParseUint(row[0], 10, 64); err != nil {
		return fail(fmt.Errorf("system identifier %.40q is no number", row[0]))
	}
	timeline, err := strconv.ParseUint(row[1], 10, 32)
	if err != nil || timeline == 0 {
		return fail(fmt.Errorf("timeline %.40q is no number", row[1]))
	}
	id := Identity{System: row[0], Timeline: pgwal.Timeline(timeline)}
	if id.At, err = pgwal.ParseLSN(row[2]); err != nil {
		return fail(err)
	}
	if len(row) > 3 {
		id.Database = row[3]
	}
	return id, nil
}

var settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)

// Show is the value of a setting with its unit, as SHOW prints it: "16MB".
func (c *Conn) Show(ctx context.Context, setting string) (string, error) {
	if !settingName.MatchString(setting) {
		return "", fmt.Errorf("%.80q is no name of a setting", setting)
	}
	row, err := c.one(ctx, "SHOW "+setting)
	if err != nil {
		return "", fmt.Errorf("ask %s for its setting %s: %w", c.target, setting, err)
	}
	return row[0], nil
}

// SegmentSize is the size of the server's WAL segments in bytes.
func (c *Conn) SegmentSize(ctx context.Context) (uint64, error) {
	text, err := c.Show(ctx, "wal_segment_size")
	if err != nil {
		return 0, err
	}
	size, err := parseSize(text)
	if err == nil {
		err = pgwal.CheckSegmentSize(size)
	}
	if err != nil {
		return 0, fmt.Errorf("the server %s says wal_segment_size %.40q: %w", c.target, text, err)
	}
	return size, nil
}

// units of memory as SHOW prints them, in bytes.
var units = map[string]uint64{"B": 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}

// parseSize reads an amount of memory as SHOW prints it.
func parseSize(text string) (uint64, error) {
	digits := text[:len(text)-len(strings.TrimLeft(text, "0123456789"))]
	n, err := strconv.ParseUint(digits, 10, 32)
	unit, ok := units[text[len(digits):]]
	if err != nil || !ok {
		return 0, fmt.Errorf("%.40q is no amount of memory", text)
	}
	return n * unit, nil
}
