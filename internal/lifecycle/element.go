package lifecycle

import (
	"strconv"
	"strings"
)

// rule reads what a rule says. known is false when it has no id, or more than
// one: such a rule is nobody's that we could name.
func (e *element) rule() (r Rule, known bool) {
	ids := 0
	prefixes := 0
	for _, c := range e.children {
		switch {
		case c.name.Space != e.name.Space:
			r.other(clip(c.name.Local))
		case c.name.Local == "ID":
			ids++
			r.ID = c.text
		case c.name.Local == "Status":
			r.Disabled = strings.TrimSpace(c.text) != "Enabled"
		case c.name.Local == "Prefix": // the older form of a filter
			prefixes++
			r.Prefix = c.text
		case c.name.Local == "Filter":
			prefixes++
			c.filter(&r, "Filter")
		case c.name.Local == "Transition":
			var t Transition
			c.values(&r, map[string]*int{"Days": &t.Days}, map[string]*string{"StorageClass": &t.Class})
			r.Transitions = append(r.Transitions, t)
		case c.name.Local == "NoncurrentVersionExpiration":
			c.values(&r, map[string]*int{"NoncurrentDays": &r.NoncurrentDays}, nil)
		case c.name.Local == "AbortIncompleteMultipartUpload":
			c.values(&r, map[string]*int{"DaysAfterInitiation": &r.AbortDays}, nil)
		case !c.empty():
			r.other(clip(c.name.Local))
		}
	}
	if prefixes > 1 {
		r.other("Filter")
	}
	return r, ids == 1
}

// filter reads Filter, and And within it.
func (e *element) filter(r *Rule, path string) {
	for _, c := range e.children {
		switch c.name.Local {
		case "Prefix":
			r.Prefix = c.text
		case "And":
			c.filter(r, path+"/And")
		case "Tag":
			var key, value string
			c.values(r, nil, map[string]*string{"Key": &key, "Value": &value})
			if r.Tags == nil {
				r.Tags = map[string]string{}
			}
			r.Tags[key] = value
		default:
			if !c.empty() {
				r.other(path + "/" + clip(c.name.Local))
			}
		}
	}
}

// values reads the children of an element into ints and texts; what is neither
// is noted as something pgbackup never writes.
func (e *element) values(r *Rule, ints map[string]*int, texts map[string]*string) {
	for _, c := range e.children {
		n, isNumber := ints[c.name.Local]
		s, isText := texts[c.name.Local]
		var err error
		switch {
		case isNumber:
			*n, err = strconv.Atoi(strings.TrimSpace(c.text))
		case isText:
			*s = c.text
		}
		if err != nil || !isNumber && !isText && !c.empty() {
			r.other(e.name.Local + "/" + clip(c.name.Local))
		}
	}
}

// empty elements are how some servers write that something is not there.
func (e *element) empty() bool {
	for _, c := range e.children {
		if !c.empty() {
			return false
		}
	}
	return strings.TrimSpace(e.text) == ""
}
