package physical

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A server that lets sessions in while it recovers needs as much room for them as the
// server had whose WAL it replays. Where that raised such a setting after the base
// backup, the configuration of the backup is too small: recovery pauses at the record
// that says so, which looks as if it had come to its target.
//
// Source: PostgreSQL, src/backend/access/transam/xlogrecovery.c, RecoveryRequiresIntParameter.
var tooLow = regexp.MustCompile(`\b(max_connections|max_worker_processes|max_wal_senders|max_prepared_transactions|max_locks_per_transaction) = [0-9]+ is a lower setting than on the primary server, where its value was ([0-9]+)`)

// lowError: recovery stopped before its target for want of these settings.
type lowError struct{ need map[string]int }

func (e *lowError) Error() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(e.need)) {
		parts = append(parts, fmt.Sprintf("%s = %d", name, e.need[name]))
	}
	return "the WAL needs " + strings.Join(parts, ", ")
}

// low is what the server's log says that its settings are too low for; nil for nothing.
func low(log string) error {
	need := map[string]int{}
	for _, m := range tooLow.FindAllStringSubmatch(log, -1) {
		if n, err := strconv.Atoi(m[2]); err == nil {
			need[m[1]] = max(need[m[1]], n)
		}
	}
	if len(need) == 0 {
		return nil
	}
	return &lowError{need}
}

// raise gives the restored server the settings that its WAL needs, and tells whether
// recovering again may get further.
func (r *restore) raise(err error) (bool, error) {
	var e *lowError
	if !errors.As(err, &e) {
		return false, nil
	}
	further := false
	for name, value := range e.need {
		if value > r.raised[name] {
			if r.raised == nil {
				r.raised = map[string]int{}
			}
			r.raised[name], further = value, true
		}
	}
	if !further {
		return false, nil
	}
	t, err := openTree(r.Directory, r.owner)
	if err != nil {
		return false, err
	}
	defer t.close()
	old, err := t.root.ReadFile(autoConf)
	if err != nil {
		return false, err
	}
	var list []setting
	for _, name := range slices.Sorted(maps.Keys(r.raised)) {
		list = append(list, setting{name, strconv.Itoa(r.raised[name])})
	}
	return true, t.write(autoConf, with(old, list, "The server of the backup had raised these since, and its WAL needs them."), 0o600)
}

// raisedWarning tells of settings that are not those of the backup.
func (r *restore) raisedWarning() {
	if len(r.raised) > 0 {
		r.result.Warnings = append(r.result.Warnings, fmt.Sprintf("%s, which the server had raised after the base backup: it is in postgresql.auto.conf now, put it where you keep such settings", (&lowError{r.raised}).Error()))
	}
}
