package job

import (
	"errors"
	"fmt"
)

// Validate reports everything wrong with what to back up, for what is given
// without a job file. Each error begins with the field.
func (f Files) Validate() error { return alone(f.validate) }

// Validate reports everything wrong with the command.
func (c Command) Validate() error { return alone(c.validate) }

// Validate reports everything wrong with the place of a configuration.
func (c Config) Validate() error { return alone(c.validate) }

// Validate checks what a base backup is told that is in no job file.
func (p Physical) Validate() error { return alone(p.validate) }

func alone(validate func(func(string, error))) error {
	var errs []error
	validate(func(field string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", field, err))
		}
	})
	return errors.Join(errs...)
}
