// Package function holds the provider's functions: what a schedule and a policy
// mean, worked out in a configuration without a repository.
//
// What must not live here: the cron dialect (package schedule), the rules
// (package retention) and playing them forward (package simulate). Functions
// contact nothing.
package function

import (
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/function"
)

// wrong is the error for an argument, by its position from 0. Both CLIs put a full
// stop behind what a function says, and names of arguments stay as they are.
func wrong(position int64, err error) *function.FuncError {
	return function.NewArgumentFuncError(position, strings.TrimSuffix(err.Error(), "."))
}

// outside is the error for a number that is not from low to high, with the
// nearest that is.
func outside(name string, n, low, high int64) error {
	return fmt.Errorf("%s is %d: give %d to %d; the nearest is %d", name, n, low, high, min(max(n, low), high))
}

// moment reads the optional last argument, a moment; without one it is otherwise.
func moment(given []string, position int64, name string, otherwise time.Time) (time.Time, *function.FuncError) {
	switch len(given) {
	case 0:
		return otherwise, nil
	case 1:
		t, err := time.Parse(time.RFC3339, given[0])
		if err != nil {
			return t, wrong(position, fmt.Errorf("%s is %.60q: give a moment as plantimestamp() does, such as \"2026-03-01T02:00:00Z\"", name, given[0]))
		}
		return t, nil
	}
	return time.Time{}, wrong(position+1, fmt.Errorf("%s is given more than once: it is the last argument", name))
}
