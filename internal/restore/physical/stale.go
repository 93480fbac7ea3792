package physical

import (
	"regexp"
	"slices"
)

// unset are the settings that lead a recovery, as they are where nobody gave them. A
// configuration may have some of a recovery of long ago, which a server that is not
// recovering never looks at: two targets are an error, and one more command or delay
// is not what was asked for.
var unset = []setting{
	{"recovery_target", ""}, {"recovery_target_lsn", ""}, {"recovery_target_name", ""}, {"recovery_target_time", ""}, {"recovery_target_xid", ""},
	{"recovery_target_inclusive", "on"}, {"recovery_target_action", "pause"},
	{"recovery_end_command", ""}, {"archive_cleanup_command", ""}, {"recovery_min_apply_delay", "0"},
}

// others are those of unset that a recovery does not set itself.
func others(given []setting) []setting {
	return slices.DeleteFunc(slices.Clone(unset), func(s setting) bool {
		return slices.ContainsFunc(given, func(g setting) bool { return g.name == s.name })
	})
}

// stale are those of others that a configuration has. They come before what is given:
// a server takes them in order, and has one target at a time.
func stale(configuration []byte, given []setting) []setting {
	return slices.DeleteFunc(others(given), func(s setting) bool {
		return !regexp.MustCompile(`(?im)^[ \t]*` + s.name + `[ \t=]`).Match(configuration)
	})
}
