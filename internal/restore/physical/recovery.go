package physical

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
)

// ofRecovery are settings that a former restore may have left, and that would lead
// this one elsewhere: two targets are an error to the server.
var ofRecovery = regexp.MustCompile(`(?i)^\s*(restore_command|recovery_target\w*|recovery_end_command|archive_cleanup_command|recovery_min_apply_delay)\b`)

// setting is a line of postgresql.auto.conf.
type setting struct{ name, value string }

// settings of recovery to the target on a timeline.
func settings(o Options, timeline pgwal.Timeline) []setting {
	list := []setting{
		{"restore_command", o.RestoreCommand},
		{"recovery_target_timeline", strconv.FormatUint(uint64(timeline), 10)},
	}
	add := func(name, value string) { list = append(list, setting{name, value}) }
	t := o.Target
	chooses := true // whether a transaction at the very target counts
	switch {
	case !t.Time.IsZero():
		add("recovery_target_time", serverTime(t.Time))
	case t.LSN != 0:
		add("recovery_target_lsn", t.LSN.String())
	case t.XID != 0:
		add("recovery_target_xid", strconv.FormatUint(t.XID, 10))
	case t.Name != "":
		add("recovery_target_name", t.Name)
		chooses = false
	case t.Immediate:
		add("recovery_target", "immediate")
		chooses = false
	default:
		chooses = false
	}
	if chooses && !t.Inclusive {
		add("recovery_target_inclusive", "off")
	}
	if !t.Latest {
		add("recovery_target_action", o.Action)
	}
	if o.ArchiveMode == ArchiveOff {
		add("archive_mode", "off")
	}
	for _, name := range slices.Sorted(maps.Keys(o.Settings)) {
		add(name, o.Settings[name])
	}
	return list
}

// serverTime writes a moment as every server reads it, to the microsecond.
func serverTime(t time.Time) string {
	return t.UTC().Format("2006-01-02 15:04:05.999999") + "+00"
}

// configure is postgresql.auto.conf of the backup with the settings of recovery in it.
func configure(old []byte, list []setting, who string) []byte {
	var kept strings.Builder
	for line := range strings.Lines(string(old)) {
		if !ofRecovery.MatchString(line) {
			kept.WriteString(line)
		}
	}
	return with([]byte(kept.String()), list, "Of the restore by "+who+"; recovery ends when its settings were used once.")
}

// with is postgresql.auto.conf with settings in the place of those of the same names.
func with(old []byte, list []setting, why string) []byte {
	var b strings.Builder
	for line := range strings.Lines(string(old)) {
		line = strings.TrimSuffix(line, "\n")
		if slices.ContainsFunc(list, func(s setting) bool { return sets(line, s.name) }) {
			continue
		}
		b.WriteString(line + "\n")
	}
	fmt.Fprintf(&b, "# %s\n", why)
	for _, s := range list {
		fmt.Fprintf(&b, "%s = %s\n", s.name, quoted(s.value))
	}
	return []byte(b.String())
}

// sets tells whether a line gives the setting of a name a value.
func sets(line, name string) bool {
	line = strings.TrimLeft(line, " \t")
	return len(line) > len(name) && strings.EqualFold(line[:len(name)], name) && strings.ContainsRune(" \t=", rune(line[len(name)]))
}

// quoted writes a value as the configuration has it.
func quoted(value string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", "''", "\n", `\n`).Replace(value) + "'"
}
