package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/nearest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// Bounds of a list of points.
const (
	maxPointsFile = 256 << 20 // bytes
	maxPoints     = 1_000_000
	maxPointID    = 1024 // bytes
)

// givenPoint is a point in a list that somebody gives: what retention needs, and
// the further fields of `list --json`. Its id is free text.
type givenPoint struct {
	id, source, kind string
	start, end       time.Time
	unverified       bool // verified when not said: see newPolicySimulate
	held             bool
	problem          string // why it can not be read, as `list` says it
}

// pointFields are the fields of a point, in the order of `list --json`.
var pointFields = []string{"id", "source", "kind", "start", "end", "bytes", "verified", "held", "tier", "problem"}

// set takes the value of a field. Bytes and tier are known and not used.
func (g *givenPoint) set(field string, value json.Token) error {
	switch field {
	case "id":
		return setText(&g.id, value)
	case "source":
		return setText(&g.source, value)
	case "kind":
		return setText(&g.kind, value)
	case "problem":
		return setText(&g.problem, value)
	case "tier":
		return setText(new(string), value)
	case "start":
		return setTime(&g.start, value)
	case "end":
		return setTime(&g.end, value)
	case "held":
		return setBool(&g.held, value)
	case "verified":
		var verified bool
		err := setBool(&verified, value)
		g.unverified = !verified
		return err
	}
	if _, ok := value.(float64); !ok {
		return wrongValue("a number", value)
	}
	return nil
}

func setText(into *string, value json.Token) error {
	text, ok := value.(string)
	if !ok {
		return wrongValue("text in quotes", value)
	}
	*into = text
	return nil
}

func setBool(into *bool, value json.Token) error {
	b, ok := value.(bool)
	if !ok {
		return wrongValue("true or false", value)
	}
	*into = b
	return nil
}

func setTime(into *time.Time, value json.Token) error {
	var text string
	err := setText(&text, value)
	if err == nil {
		*into, err = parseTime(text)
	}
	return err
}

// wrongValue names what a value should be and is, in the words of package
// strictjson, which is too slow for a list of a million points.
func wrongValue(want string, value json.Token) error {
	got := "a list"
	switch v := value.(type) {
	case string:
		got = "text"
	case bool:
		got = "true or false"
	case float64:
		got = "a number"
	case json.Delim:
		if v == '{' {
			got = "an object"
		}
	}
	return fmt.Errorf("must be %s, not %s", want, got)
}

// parseTime reads a moment; the error says how to write one.
func parseTime(text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, fmt.Errorf("%.40q is not a time: write it as 2026-03-01T02:00:00Z", text)
	}
	return t, nil
}

// readPoints reads the list named by --points, "-" being standard input.
func (a *app) readPoints(name string) ([]retention.Point, error) {
	in, what := a.in, "standard input"
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, usagef("--points: %w", err)
		}
		defer f.Close()
		in, what = f, name
	}
	points, err := parsePoints(in)
	if err != nil {
		return nil, usagef("--points %s: %w", what, err)
	}
	return points, nil
}

// parsePoints reads a JSON array of points, or an object that has one as "points".
// It reads one after the other: a million of them are no problem.
func parsePoints(in io.Reader) ([]retention.Point, error) {
	limited := &io.LimitedReader{R: in, N: maxPointsFile + 1}
	p := pointParser{dec: json.NewDecoder(bufio.NewReaderSize(limited, 64<<10)), first: map[pointKey]int{}}
	err := p.document()
	switch {
	case limited.N <= 0:
		return nil, fmt.Errorf("has more than %d bytes", maxPointsFile)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		if p.dec.InputOffset() == 0 {
			return nil, errors.New("is empty: give a JSON array of points, [] for none")
		}
		return nil, errors.New("is cut off: the JSON document ends too early")
	case err != nil:
		return nil, err
	}
	return p.points, nil
}

type pointParser struct {
	dec    *json.Decoder
	points []retention.Point
	first  map[pointKey]int // where each id is given
}

type pointKey struct{ source, kind, id string }

func (p *pointParser) document() error {
	const want = `give a JSON array of points, [{"id":"a","start":"2026-03-01T02:00:00Z"}], or what "list --json" prints`
	token, err := p.token()
	if err != nil {
		return err
	}
	switch token {
	case json.Delim('['):
		err = p.array("points")
	case json.Delim('{'):
		err = p.object()
	default:
		return errors.New("is neither a list nor an object: " + want)
	}
	if err != nil {
		return err
	}
	if _, err := p.dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("more data after the end of the document (byte %d)", p.dec.InputOffset())
	}
	return nil
}

func (p *pointParser) object() error {
	found := false
	for p.dec.More() {
		key, err := p.token()
		if err != nil {
			return err
		}
		if key != "points" {
			return fmt.Errorf("%.60q: unknown field%s", key, nearest.Suggestion(fmt.Sprint(key), []string{"points"}))
		}
		if found {
			return errors.New("points: is given twice")
		}
		found = true
		open, err := p.token()
		if err != nil {
			return err
		}
		if open != json.Delim('[') {
			return errors.New("points: must be a list")
		}
		if err := p.array("points"); err != nil {
			return err
		}
	}
	if _, err := p.token(); err != nil {
		return err
	}
	if !found {
		return errors.New("points: is missing")
	}
	return nil
}

// array reads the points of a list that was opened.
func (p *pointParser) array(name string) error {
	for i := 0; p.dec.More(); i++ {
		if i == maxPoints {
			return fmt.Errorf("has more than %s points", count(maxPoints))
		}
		path := name + "[" + strconv.Itoa(i) + "]"
		given, err := p.given(path)
		if err != nil {
			return err
		}
		point, err := given.point()
		if err != nil {
			return fmt.Errorf("%s.%w", path, err)
		}
		if point.ID != "" {
			key := pointKey{point.Source, point.Kind, point.ID}
			if first, twice := p.first[key]; twice {
				return fmt.Errorf("%s.id: %.60q is given twice, first in %s[%d]", path, point.ID, name, first)
			}
			p.first[key] = i
		}
		p.points = append(p.points, point)
	}
	_, err := p.token()
	return err
}

// given reads one point, field by field: a name that is not known or comes twice
// is an error, null is not given.
func (p *pointParser) given(path string) (g givenPoint, err error) {
	open, err := p.token()
	switch {
	case err != nil:
		return g, err
	case open == nil:
		return g, fmt.Errorf("%s: must not be null", path)
	case open != json.Delim('{'):
		return g, fmt.Errorf("%s: %w", path, wrongValue("an object", open))
	}
	seen := 0
	for p.dec.More() {
		key, err := p.token()
		if err != nil {
			return g, err
		}
		name, _ := key.(string)
		i := slices.Index(pointFields, name)
		if i < 0 {
			return g, fmt.Errorf("%s.%.60s: unknown field%s", path, printable(name), nearest.Suggestion(name, pointFields))
		}
		if seen&(1<<i) != 0 {
			return g, fmt.Errorf("%s.%s: is given twice", path, name)
		}
		seen |= 1 << i
		value, err := p.token()
		if err != nil {
			return g, err
		}
		if value == nil {
			continue
		}
		if err := g.set(name, value); err != nil {
			return g, fmt.Errorf("%s.%s: %w", path, name, err)
		}
	}
	_, err = p.token()
	return g, err
}

// point is what the rules look at; the error begins with the field.
func (g *givenPoint) point() (retention.Point, error) {
	p := retention.Point{
		ID: g.id, Source: g.source, Kind: cmp.Or(g.kind, logical.Kind), Start: g.start, End: cmp.Or(g.end, g.start),
		Held: g.held, Verified: !g.unverified, Unreadable: g.problem != "",
	}
	switch {
	case len(g.id) > maxPointID:
		return p, fmt.Errorf("id: is longer than %d bytes", maxPointID)
	case p.Unreadable: // `list` shows such points with what little is known of them
		return p, nil
	case g.id == "":
		return p, errors.New("id: is missing")
	case g.start.IsZero():
		return p, errors.New("start: is missing")
	}
	return p, nil
}

func (p *pointParser) token() (json.Token, error) {
	token, err := p.dec.Token()
	return token, p.syntax(err)
}

func (p *pointParser) syntax(err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("is not valid JSON near byte %d: %w", p.dec.InputOffset(), err)
	}
	return err
}
