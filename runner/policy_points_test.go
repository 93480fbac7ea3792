package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

func TestWhatListPrintsIsAListOfPoints(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)
	ref := repo.Ref{Source: "shop", Kind: "logical", ID: "20260301T020000Z-abcdefgh"}
	data, err := json.Marshal(listing([]repo.Listed{
		{Ref: ref, Start: start, Held: true, Tier: "daily", Manifest: &repo.Manifest{Start: start, End: start.Add(time.Minute)}},
		{Ref: ref, Start: start, Problem: errors.New("damaged")},
		{Problem: errors.New("a key that is none")},
	}))
	if err != nil {
		t.Fatal(err)
	}
	_, err = parsePoints(bytes.NewReader(data))
	if err == nil || !strings.Contains(err.Error(), "given twice") {
		t.Fatalf("the same point twice: %v", err)
	}
	points, err := parsePoints(bytes.NewReader(bytes.Replace(data, []byte("20260301T020000Z-abcdefgh"), []byte("20260301T020000Z-hgfedcba"), 1)))
	if err != nil || len(points) != 3 {
		t.Fatalf("%+v, %v", points, err)
	}
	if p := points[0]; !p.Verified || !p.Held || p.Unreadable || p.End != start.Add(time.Minute) || p.Source != "shop" {
		t.Errorf("%+v", p)
	}
	if p := points[1]; p.Verified || !p.Unreadable {
		t.Errorf("%+v", p)
	}
}

func TestAListOfPointsIsReadStrictly(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		``:                                   "is empty",
		`  `:                                 "is empty",
		`7`:                                  "neither a list nor an object",
		`null`:                               "neither a list nor an object",
		`[`:                                  "cut off",
		`[{"id":"a"`:                         "cut off",
		`{`:                                  "cut off",
		`{}`:                                 "points: is missing",
		`{"pionts":[]}`:                      `unknown field; did you mean "points"?`,
		`{"points":{}}`:                      "points: must be a list",
		`{"points":[],"points":[]}`:          "given twice",
		`[] []`:                              "more data",
		`[{]`:                                "not valid JSON near byte",
		`[null]`:                             "points[0]: must not be null",
		`["a"]`:                              "points[0]: must be an object, not text",
		`[{"id":"a"}]`:                       "points[0].start: is missing",
		`[{"start":"2026-03-01T00:00:00Z"}]`: "points[0].id: is missing",
		`[{"id":7}]`:                         "points[0].id: must be text in quotes, not a number",
		`[{"id":"a","id":"b"}]`:              "points[0].id: is given twice",
		`[{"id":"a","start":"2026-03-01"}]`:  `points[0].start: "2026-03-01" is not a time`,
		`[{"id":"a","start":1772323200}]`:    "points[0].start: must be text",
		`[{"id":"a","verified":"yes"}]`:      "points[0].verified: must be true or false, not text",
		`[{"id":"` + strings.Repeat("x", 1025) + `","start":"2026-03-01T00:00:00Z"}]`: "longer than 1024 bytes",
	} {
		points, err := parsePoints(strings.NewReader(data))
		if err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 300 {
			t.Errorf("%.60s: %+v, %v; want %s", data, points, err, want)
		}
	}
}

func TestALargeListIsReadAndDecidedInSeconds(t *testing.T) {
	t.Parallel()
	var list bytes.Buffer
	at := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	list.WriteByte('[')
	for i := range 100_000 {
		if i > 0 {
			list.WriteByte(',')
		}
		fmt.Fprintf(&list, `{"id":"point %d","start":%q,"verified":true}`, i, at.Add(time.Duration(i)*time.Hour).Format(time.RFC3339))
	}
	list.WriteByte(']')
	begin := time.Now()
	points, err := parsePoints(&list)
	if err != nil || len(points) != 100_000 {
		t.Fatalf("%d, %v", len(points), err)
	}
	plan := retention.Decide(retention.Input{Points: points, Rules: retention.Rules{Keep: retention.Keep{KeepDaily: 30}}, Now: at.AddDate(20, 0, 0)})
	if len(plan.Keep) != 30 {
		t.Errorf("%d kept", len(plan.Keep))
	}
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
}

func FuzzPoints(f *testing.F) {
	for _, s := range []string{`[]`, `{"points":[{"id":"a","start":"2026-03-01T00:00:00Z","verified":false}]}`, `[{"id":"","problem":"x"}]`, `[{"id":"a","start":"0000-01-01T00:00:00Z"}]`, `[[[`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		points, err := parsePoints(bytes.NewReader(data))
		if err != nil {
			return
		}
		plan := retention.Decide(retention.Input{Points: points, Rules: retention.Rules{Keep: retention.Keep{KeepDaily: 1}}, Now: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)})
		if len(plan.Keep)+len(plan.Delete) != len(points) {
			t.Fatalf("%d points became %d and %d", len(points), len(plan.Keep), len(plan.Delete))
		}
		var drawn []calendarPoint
		for _, d := range plan.Keep {
			drawn = append(drawn, calendarPoint{d.Point.Start, d.Tier})
		}
		if lines := (calendar{width: 80}).draw(drawn); len(lines) > 200 {
			t.Fatalf("%d lines", len(lines))
		}
	})
}
