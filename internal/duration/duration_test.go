package duration_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
)

func TestParsedDurationKeepsItsSpellingAndItsMeaning(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text, canonical string
		approx          time.Duration
	}{
		{"30s", "30s", 30 * time.Second},
		{"90m", "1h30m", 90 * time.Minute},
		{"24h", "1d", 24 * time.Hour},
		{"1440m", "1d", 24 * time.Hour},
		{"1w", "7d", 7 * 24 * time.Hour},
		{"2555d", "2555d", 2555 * 24 * time.Hour},
		{"12mo", "1y", 365 * 24 * time.Hour},
		{"18mo", "1y6mo", (365 + 180) * 24 * time.Hour},
		{"1y2mo3d", "1y2mo3d", (365 + 63) * 24 * time.Hour},
		{"1y2mo3w4d5h6m7s", "1y2mo25d5h6m7s", (365+60+25)*24*time.Hour + 5*time.Hour + 6*time.Minute + 7*time.Second},
		{"007d", "7d", 7 * 24 * time.Hour},
		{"0s", "0s", 0},
		{"250y", "250y", 250 * 365 * 24 * time.Hour},
	} {
		d, err := duration.Parse(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if d.String() != c.text || d.Canonical() != c.canonical || d.Approx() != c.approx {
			t.Errorf("%s: got %s, %s, %s; want canonical %s, approx %s", c.text, d, d.Canonical(), d.Approx(), c.canonical, c.approx)
		}
	}
}

func TestBadDurationsNameTheFaultAndTheNearestValidForm(t *testing.T) {
	t.Parallel()
	for text, wants := range map[string][]string{
		"":                       {"is empty"},
		"7days":                  {`"days" is not a unit`, `did you mean "7d"?`},
		"7 days":                 {`did you mean "7d"?`},
		"1week":                  {`did you mean "1w"?`},
		"3months":                {`did you mean "3mo"?`},
		"3M":                     {`did you mean "3mo"?`},
		"30D":                    {`did you mean "30d"?`},
		"P7D":                    {`did you mean "7d"?`},
		"30":                     {"30 has no unit", `did you mean "30d"?`},
		"-7d":                    {"is negative", `did you mean "7d"?`},
		"1.5h":                   {"fractions are not allowed", `did you mean "1h30m"?`},
		"0.5y":                   {"fractions", `did you mean "6mo"?`},
		"30m1h":                  {"largest to the smallest", `did you mean "1h30m"?`},
		"1d1d":                   {"given twice", `did you mean "2d"?`},
		"d":                      {"a number is expected"},
		"forever":                {"a number is expected"},
		"5x":                     {`"x" is not a unit`, "y, mo, w, d, h, m (minutes) and s"},
		"1h30":                   {"30 has no unit"},
		"251y":                   {"longer than 250 years"},
		"99999999999999999999d":  {"longer than 250 years"},
		"9223372036854775807s":   {"longer than 250 years"},
		"250y1s":                 {"longer than 250 years"},
		"7d\n":                   {"a number is expected", `did you mean "7d"?`},
		strings.Repeat("1d", 99): {"198 characters", "too long"},
	} {
		_, err := duration.Parse(text)
		if err == nil {
			t.Errorf("%q was accepted", text)
			continue
		}
		for _, want := range wants {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v; want it to say %s", text, err, want)
			}
		}
	}
}

func TestEqualComparesByMeaning(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"24h", "1d", true}, {"1440m", "1d", true}, {"7d", "1w", true}, {"12mo", "1y", true}, {"60s", "1m", true},
		{"1m", "1mo", false}, {"30d", "1mo", false}, {"365d", "1y", false}, {"1d", "2d", false},
	} {
		if got := duration.MustParse(c.a).Equal(duration.MustParse(c.b)); got != c.same {
			t.Errorf("%s equal to %s: %v", c.a, c.b, got)
		}
	}
	if duration.MustParse("30d").Compare(duration.MustParse("1mo")) != 0 || duration.MustParse("2555d").Compare(duration.MustParse("7y")) != 0 {
		t.Error("for ordering a month counts 30 days and a year 365")
	}
	if duration.MustParse("25h").Compare(duration.MustParse("1d")) != 1 || duration.MustParse("1d").Compare(duration.MustParse("25h")) != -1 {
		t.Error("25h is longer than 1d")
	}
}

func TestArithmeticGoesByTheCalendar(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	const layout = "2006-01-02 15:04 MST"
	for _, c := range []struct {
		from, span     string
		loc            *time.Location
		before, behind string
	}{
		// The last day stands in for a day the month does not have.
		{"2026-03-31 12:00", "1mo", time.UTC, "2026-02-28 12:00 UTC", "2026-04-30 12:00 UTC"},
		{"2028-03-31 12:00", "1mo", time.UTC, "2028-02-29 12:00 UTC", "2028-04-30 12:00 UTC"},
		{"2028-02-29 00:00", "1y", time.UTC, "2027-02-28 00:00 UTC", "2029-02-28 00:00 UTC"},
		{"2028-02-29 00:00", "4y", time.UTC, "2024-02-29 00:00 UTC", "2032-02-29 00:00 UTC"},
		{"2026-01-15 02:00", "13mo", time.UTC, "2024-12-15 02:00 UTC", "2027-02-15 02:00 UTC"},
		{"2026-03-31 12:00", "1mo1d", nil, "2026-02-27 12:00 UTC", "2026-05-01 12:00 UTC"},
		// A month keeps the time of day where clocks change, a day is 24 hours.
		{"2026-04-15 02:30", "1mo", berlin, "2026-03-15 02:30 CET", "2026-05-15 02:30 CEST"},
		{"2026-03-29 12:00", "1d", berlin, "2026-03-28 11:00 CET", "2026-03-30 12:00 CEST"},
	} {
		loc := c.loc
		if loc == nil {
			loc = time.UTC
		}
		from, err := time.ParseInLocation("2006-01-02 15:04", c.from, loc)
		if err != nil {
			t.Fatal(err)
		}
		d := duration.MustParse(c.span)
		if got := d.SubtractFrom(from, c.loc).Format(layout); got != c.before {
			t.Errorf("%s less %s is %s, want %s", c.from, c.span, got, c.before)
		}
		if got := d.AddTo(from, c.loc).Format(layout); got != c.behind {
			t.Errorf("%s plus %s is %s, want %s", c.from, c.span, got, c.behind)
		}
	}
}

func TestJSONKeepsTheSpellingAndOmitsWhatIsNotGiven(t *testing.T) {
	t.Parallel()
	type doc struct {
		A duration.Duration `json:"a,omitzero"`
		B duration.Duration `json:"b,omitzero"`
	}
	data, err := json.Marshal(doc{A: duration.MustParse("24h")})
	if err != nil || string(data) != `{"a":"24h"}` {
		t.Fatalf("%s, %v", data, err)
	}
	var back doc
	if err := json.Unmarshal(data, &back); err != nil || back.A.String() != "24h" || !back.B.IsZero() {
		t.Fatalf("%+v, %v", back, err)
	}
	if err := json.Unmarshal([]byte(`{"a":"7days"}`), &back); err == nil {
		t.Error("a bad duration in JSON was accepted")
	}
}

func TestOfSpellsAnExactLength(t *testing.T) {
	t.Parallel()
	if got := duration.Of(36 * time.Hour).String(); got != "1d12h" {
		t.Error(got)
	}
	if !duration.Of(-time.Hour).IsZero() {
		t.Error("a negative length is no time")
	}
}

func TestCanonicalSpellingParsesToAnEqualDuration(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`([0-9]{1,2}y)?([0-9]{1,3}mo)?([0-9]{1,2}w)?([0-9]{1,4}d)?([0-9]{1,4}h)?([0-9]{1,4}m)?[0-9]{1,5}s`).Draw(t, "text")
		d, err := duration.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		again, err := duration.Parse(d.Canonical())
		if err != nil || !again.Equal(d) || again.Canonical() != d.Canonical() {
			t.Fatalf("%s -> %s -> %s: %v", text, d.Canonical(), again.Canonical(), err)
		}
		from := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "from"), 0)
		if d.SubtractFrom(from, nil).After(from) || d.AddTo(from, nil).Before(from) {
			t.Fatalf("%s leads the wrong way from %s", text, from)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "30d", "1y2mo3d", "7days", "-1h", "1.5h", "99999999999999999999y", "P7D", "1h 30m", "é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := duration.Parse(s)
		if err != nil {
			if hint := strings.LastIndex(err.Error(), "did you mean \""); hint >= 0 {
				suggested, _, _ := strings.Cut(err.Error()[hint+len("did you mean \""):], "\"")
				if _, err := duration.Parse(suggested); err != nil {
					t.Fatalf("%q: the suggestion %q is itself refused: %v", s, suggested, err)
				}
			}
			return
		}
		if d.String() != s || d.Approx() < 0 {
			t.Fatalf("%q became %q, %s", s, d, d.Approx())
		}
		again, err := duration.Parse(d.Canonical())
		if err != nil || !again.Equal(d) {
			t.Fatalf("%q: canonical %q is not equal: %v", s, d.Canonical(), err)
		}
	})
}
