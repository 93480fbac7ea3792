// Package identifier holds the one rule for names that users choose and that
// become part of keys, unit names and resource names: policies, jobs,
// schedules.
package identifier

import (
	"errors"
	"fmt"
	"regexp"
)

// MaxLength is the most characters a name can have.
const MaxLength = 63

var pattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// Check reports what is wrong with a name, as the end of a sentence that begins
// with what is named. Lower-case letters, digits and hyphens are allowed,
// beginning and ending with a letter or digit, at most MaxLength of them.
func Check(name string) error {
	switch {
	case name == "":
		return errors.New("is missing")
	case pattern.MatchString(name):
		return nil
	case len(name) > MaxLength:
		return fmt.Errorf("has %d characters: at most %d are allowed", len(name), MaxLength)
	}
	return fmt.Errorf("%q: only lower-case letters, digits and hyphens are allowed, beginning and ending with a letter or digit", name)
}
