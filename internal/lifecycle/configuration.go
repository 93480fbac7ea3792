package lifecycle

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Bounds of a document. A thousand rules with ten tags each are 5 MB.
const (
	maxBytes    = 8 << 20
	maxElements = 200_000
	maxDepth    = 16
)

const (
	rootName  = "LifecycleConfiguration"
	namespace = "http://s3.amazonaws.com/doc/2006-03-01/"
)

// ErrNotConfiguration: the bytes are no lifecycle configuration that could be
// changed without losing a part of it.
var ErrNotConfiguration = errors.New("not a lifecycle configuration")

// Configuration is the lifecycle document of a bucket: its bytes, and where the
// rules lie in them. The zero value is that of a bucket without rules.
type Configuration struct {
	raw     []byte
	rules   []placed
	prefix  string // of the names in the document: "" or such as "s3:"
	inside  int    // offset in raw where a first rule goes
	selfEnd int    // where a root that is one <tag/> ends; 0 for the usual root
}

// placed is a rule and where it lies.
type placed struct {
	Rule
	known      bool // it has one id, which can be trusted to name it
	form       form
	start, end int // in raw
}

// ours: pgbackup wrote it, for whatever owner.
func (p placed) ours() bool { return p.known && strings.HasPrefix(p.ID, prefixOfIDs) }

// Parse reads the document of a bucket; no bytes are a bucket without rules. What
// it does not know is no error, what could not be kept as it is wraps
// ErrNotConfiguration.
func Parse(raw []byte) (Configuration, error) {
	c := Configuration{raw: raw}
	if len(bytes.TrimSpace(raw)) == 0 {
		return Configuration{}, nil
	}
	if len(raw) > maxBytes {
		return c, fmt.Errorf("%w: it has %d bytes, more than any configuration S3 takes", ErrNotConfiguration, len(raw))
	}
	root, err := parseXML(raw)
	if err != nil {
		return c, fmt.Errorf("%w: %w", ErrNotConfiguration, err)
	}
	if root.name.Local != rootName {
		return c, fmt.Errorf("%w: the document is a <%s>, not a <%s>", ErrNotConfiguration, clip(root.name.Local), rootName)
	}
	startTag := raw[root.start:root.inner]
	if name := startTag[1:bytes.IndexAny(startTag, " \t\r\n/>")]; bytes.ContainsRune(name, ':') {
		c.prefix = string(name[:bytes.IndexByte(name, ':')+1])
	}
	c.inside = root.inner
	if bytes.HasSuffix(startTag, []byte("/>")) {
		c.selfEnd = root.inner
	}
	for _, e := range root.children {
		if e.name == (xml.Name{Space: root.name.Space, Local: "Rule"}) {
			rule, known := e.rule()
			c.rules = append(c.rules, placed{Rule: rule, known: known, form: e.form(), start: e.start, end: e.end})
		}
	}
	return c, nil
}

// Len is the number of rules, whoever's they are.
func (c Configuration) Len() int { return len(c.rules) }

// Own gives the rules of an owner as they are in the document.
func (c Configuration) Own(owner Owner) []Rule {
	var own []Rule
	for _, r := range c.rules {
		if r.known && owner.Owns(r.ID) {
			own = append(own, r.Rule)
		}
	}
	return own
}

// Foreign gives the ids of the rules that pgbackup did not write, in the order
// of the document. A rule without an id has "".
func (c Configuration) Foreign() []string {
	var ids []string
	for _, r := range c.rules {
		if !r.ours() {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// element is one element of the document, with the offsets of its bytes: its
// start tag begins at start and ends at inner, its end tag ends at end.
type element struct {
	name              xml.Name
	text              string // character data directly in it
	children          []*element
	start, inner, end int
}

func parseXML(raw []byte) (*element, error) {
	d := xml.NewDecoder(bytes.NewReader(raw))
	var root *element
	var open []*element
	for count := 0; ; {
		start := int(d.InputOffset())
		token, err := d.Token()
		if errors.Is(err, io.EOF) && root != nil && len(open) == 0 {
			return root, nil
		}
		if err != nil {
			return nil, fmt.Errorf("it is not well-formed XML: %w", err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			if count++; count > maxElements || len(open) >= maxDepth {
				return nil, fmt.Errorf("it has more than %d elements, or more than %d within each other", maxElements, maxDepth)
			}
			e := &element{name: t.Name, start: start, inner: int(d.InputOffset())}
			switch {
			case len(open) > 0:
				parent := open[len(open)-1]
				parent.children = append(parent.children, e)
			case root != nil:
				return nil, errors.New("it has more than one document element")
			default:
				root = e
			}
			open = append(open, e)
		case xml.EndElement:
			open[len(open)-1].end = int(d.InputOffset())
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				open[len(open)-1].text += string(t)
			} else if len(bytes.Trim(t, "\ufeff \t\r\n")) > 0 {
				return nil, errors.New("it has text outside its document element")
			}
		case xml.Directive:
			// Entities can change what every other byte means.
			return nil, errors.New("it has a document type declaration")
		}
	}
}

// clip bounds what an error repeats of a document that may be hostile.
func clip(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}

// other notes an element that pgbackup never writes, once.
func (r *Rule) other(name string) {
	if at, found := slices.BinarySearch(r.Other, name); !found {
		r.Other = slices.Insert(r.Other, at, name)
	}
}
