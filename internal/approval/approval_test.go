package approval_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/approval"
)

// X6
func TestOnlyTodaysCodeApprovesAProductionRestore(t *testing.T) {
	t.Parallel()
	// The day is UTC's, wherever the clock is read.
	now := time.Date(2026, 3, 1, 23, 30, 0, 0, time.FixedZone("west", -2*3600)) // 2026-03-02 in UTC
	for code, want := range map[string]string{
		"RESTORE-PROD-20260302":       "",
		"":                            "give --approval RESTORE-PROD-20260302",
		"RESTORE-PROD-20260301":       "was good on 20260301, today (UTC) it is RESTORE-PROD-20260302",
		"restore-prod-20260302":       "is not today's code",
		"RESTORE-PROD-20260302" + " ": "is not today's code",
		"RESTORE-PROD-20261399":       "is not today's code",
		"EXPIRE-16-9c41d2":            "is not today's code",
	} {
		err := approval.Check(code, "Production", now)
		if want == "" {
			if err != nil {
				t.Errorf("%q: %v", code, err)
			}
			continue
		}
		if !errors.Is(err, approval.ErrNeeded) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", code, err, want)
		}
	}
}

func TestOtherEnvironmentsNeedNone(t *testing.T) {
	t.Parallel()
	for environment, needed := range map[string]bool{"": false, "staging": false, "pre-production": false, "production": true, "PROD": true, "\tlive": true} {
		if approval.Needed(environment) != needed {
			t.Errorf("%q", environment)
		}
		if err := approval.Check("", environment, time.Now()); (err != nil) != needed {
			t.Errorf("%q: %v", environment, err)
		}
	}
}
