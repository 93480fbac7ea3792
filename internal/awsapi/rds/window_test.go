package rds

import "testing"

func TestABackupWindowIsHalfAnHourOrMore(t *testing.T) {
	t.Parallel()
	for window, ok := range map[string]bool{
		"02:00-03:00": true, "02:00-02:30": true, "23:45-00:15": true,
		"02:00-02:29": false, "02:00-02:00": false, "2:00-3:00": false, "02:00": false, "": false, "24:00-25:00": false, "02:00-03:00 ": false, //nolint:gocritic // the space is what is wrong with it
	} {
		if err := CheckBackupWindow(window); (err == nil) != ok {
			t.Errorf("%q: %v", window, err)
		}
	}
}

func TestWindowsMayTouchAndNotOverlapAlsoOverMidnightAndTheWeekend(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		backup, maintenance string
		ok                  bool
	}{
		{"02:00-03:00", "mon:03:00-mon:04:00", true},
		{"02:00-03:00", "mon:01:00-mon:02:00", true},
		{"02:00-03:00", "mon:02:59-mon:04:00", false},
		{"23:30-00:30", "mon:00:15-mon:01:15", false}, // of the night from Sunday
		{"23:30-00:30", "sun:23:45-mon:00:15", false},
		{"00:00-00:30", "sun:23:45-mon:00:15", false}, // over the end of the week
		{"00:30-01:00", "sun:23:45-mon:00:15", true},
		{"12:00-13:00", "Wed:12:30-Wed:13:30", false},
		{"12:00-13:00", "", true},
		{"12:00-13:00", "someday", false},
	} {
		if err := CheckWindows(c.backup, c.maintenance); (err == nil) != c.ok {
			t.Errorf("%s and %s: %v", c.backup, c.maintenance, err)
		}
	}
}

func TestAnARNIsReadInItsParts(t *testing.T) {
	t.Parallel()
	a, err := ParseARN("arn:aws-cn:rds:cn-north-1:111122223333:snapshot:rds:acme-2026-01-01")
	if err != nil || a != (ARN{"aws-cn", "cn-north-1", "111122223333", "snapshot", "rds:acme-2026-01-01"}) {
		t.Errorf("%+v, %v", a, err)
	}
	for _, text := range []string{"", "acme-prod", "arn:aws:s3:::bucket", "arn:aws:rds:us-east-1:111122223333:db:", "arn:aws:rds::111122223333:db:x"} {
		if _, err := ParseARN(text); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}
