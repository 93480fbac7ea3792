// Package approval is the code that restoring on production asks for (X6): it
// names the day, so that a command copied from a runbook or a shell's history does
// not overwrite a database by itself.
//
// It is pure. What must not live here: finding out the environment, and the audit
// log that every approval goes into.
package approval

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Prefix of every code.
const Prefix = "RESTORE-PROD-"

const day = "20060102"

// ErrNeeded: production was not approved, or not for today.
var ErrNeeded = errors.New("production needs an approval")

// production are the environments that need one, in small letters.
var production = []string{"production", "prod", "live"}

// Needed tells whether restoring in an environment, as a policy names it, needs an
// approval.
func Needed(environment string) bool {
	return slices.Contains(production, strings.ToLower(strings.TrimSpace(environment)))
}

// Code is what is accepted on the day of now, in UTC.
func Code(now time.Time) string { return Prefix + now.UTC().Format(day) }

// Check is nil where code approves a restore in the environment at now, or none is
// needed. Its error is ErrNeeded and says what to give.
func Check(code, environment string, now time.Time) error {
	if !Needed(environment) {
		return nil
	}
	want := Code(now)
	switch given, isCode := strings.CutPrefix(code, Prefix); {
	case code == want:
		return nil
	case code == "":
		return fmt.Errorf("%w: the policy's environment is %q; look again at what is restored where, then give --approval %s", ErrNeeded, environment, want)
	case isCode && isDay(given):
		return fmt.Errorf("%w: %s was good on %s, today (UTC) it is %s", ErrNeeded, code, given, want)
	}
	return fmt.Errorf("%w: %.60q is not today's code: give --approval %s", ErrNeeded, code, want)
}

func isDay(s string) bool {
	_, err := time.Parse(day, s)
	return err == nil
}
