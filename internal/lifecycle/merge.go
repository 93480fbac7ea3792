package lifecycle

import (
	"bytes"
	"errors"
	"fmt"
)

// ErrTooManyRules: the bucket has no room for the rules.
var ErrTooManyRules = errors.New("too many lifecycle rules")

// Merge gives the document in which the rules of owner are exactly these. All
// else stays as it is, byte for byte; a rule of the owner that says the same in
// another form stays too. changed is false when there is nothing to write.
//
// For example, with rule a of somebody else and rule b of this owner, and b to
// be replaced and c to be added, <a/> <!-- x --> <b/> becomes <a/> <!-- x --> <b′/><c/>.
//
// Where the rules that stay are of S3's older form, which cannot stand beside
// ours, the error is an *OldFormError.
//
// The document of a bucket may end up without rules (see Configuration.Len): S3
// takes no such document, it has to be deleted.
func (c Configuration) Merge(owner Owner, rules []Rule) (raw []byte, changed bool, err error) {
	wanted := make(map[string]Rule, len(rules))
	for _, r := range rules {
		if _, twice := wanted[r.ID]; twice || !owner.Owns(r.ID) {
			return nil, false, fmt.Errorf("lifecycle rule %q is given twice or does not belong to %s", r.ID, owner)
		}
		wanted[r.ID] = r
	}
	var edits []edit
	for _, old := range c.rules {
		if !old.known || !owner.Owns(old.ID) {
			continue
		}
		r, stays := wanted[old.ID]
		delete(wanted, old.ID) // of two with one id the second goes
		switch {
		case !stays:
			edits = append(edits, edit{start: old.start, end: old.end, gone: true})
		case !r.Equal(old.Rule):
			edits = append(edits, edit{start: old.start, end: old.end, text: r.render(c.prefix)})
		}
	}
	var added []byte
	for _, r := range rules {
		if _, missing := wanted[r.ID]; missing {
			added = append(added, r.render(c.prefix)...)
		}
	}
	if count := c.countAfter(edits, len(wanted)); len(wanted) > 0 && count > MaxRules {
		return nil, false, fmt.Errorf("%w: the bucket has %d already, and with those of %s it would have %d; S3 takes %d in a bucket. Remove some that are no longer needed", ErrTooManyRules, len(c.rules), owner, count, MaxRules)
	}
	if len(edits) == 0 && len(added) == 0 {
		return c.raw, false, nil
	}
	if len(added) > 0 {
		edits = append(edits, c.insertion(added))
	}
	if err := c.mixes(edits); err != nil {
		return nil, false, err
	}
	return c.splice(edits), true, nil
}

// edit replaces the bytes from start to end.
type edit struct {
	start, end int
	text       []byte
	gone       bool // a rule fewer than before
}

func (c Configuration) countAfter(edits []edit, added int) int {
	count := len(c.rules) + added
	for _, e := range edits {
		if e.gone {
			count--
		}
	}
	return count
}

// insertion puts new rules behind the last one, or first into the document.
func (c Configuration) insertion(rules []byte) edit {
	switch {
	case len(c.rules) > 0:
		at := c.rules[len(c.rules)-1].end
		return edit{start: at, end: at, text: rules}
	case c.selfEnd > 0: // <tag/> becomes <tag>…</tag>
		text := append([]byte(">"), rules...)
		text = fmt.Appendf(text, "</%s%s>", c.prefix, rootName)
		return edit{start: c.selfEnd - len("/>"), end: c.selfEnd, text: text}
	}
	return edit{start: c.inside, end: c.inside, text: rules}
}

// splice applies edits, which are in the order of the document.
func (c Configuration) splice(edits []edit) []byte {
	raw := c.raw
	if len(raw) == 0 {
		raw = []byte(document)
		end := len(document) - len("</"+rootName+">")
		edits[0].start, edits[0].end = end, end
	}
	var out bytes.Buffer
	at := 0
	for _, e := range edits {
		out.Write(raw[at:e.start])
		out.Write(e.text)
		at = e.end
	}
	out.Write(raw[at:])
	return out.Bytes()
}
