package lifecycle

import (
	"bytes"
	"encoding/xml"
	"maps"
	"slices"
	"strconv"
)

// document is a configuration without rules, to put the first one in.
const document = `<` + rootName + ` xmlns="` + namespace + `"></` + rootName + `>`

// render writes a rule; prefix stands before every name, as in the rest of the
// document.
func (r Rule) render(prefix string) []byte {
	w := writer{prefix: prefix}
	w.in("Rule", func() {
		w.leaf("ID", r.ID)
		w.in("Filter", func() { r.renderFilter(&w) })
		w.leaf("Status", "Enabled")
		for _, t := range ordered(r.Transitions) {
			w.in("Transition", func() {
				w.leaf("Days", strconv.Itoa(t.Days))
				w.leaf("StorageClass", t.Class)
			})
		}
		if r.NoncurrentDays > 0 {
			w.in("NoncurrentVersionExpiration", func() { w.leaf("NoncurrentDays", strconv.Itoa(r.NoncurrentDays)) })
		}
		if r.AbortDays > 0 {
			w.in("AbortIncompleteMultipartUpload", func() { w.leaf("DaysAfterInitiation", strconv.Itoa(r.AbortDays)) })
		}
	})
	return w.buf.Bytes()
}

// renderFilter writes the conditions: S3 takes one by itself, more of them only
// inside And.
func (r Rule) renderFilter(w *writer) {
	conditions := func() {
		if r.Prefix != "" || len(r.Tags) == 0 {
			w.leaf("Prefix", r.Prefix)
		}
		for _, key := range slices.Sorted(maps.Keys(r.Tags)) {
			w.in("Tag", func() {
				w.leaf("Key", key)
				w.leaf("Value", r.Tags[key])
			})
		}
	}
	if len(r.Tags) > 1 || len(r.Tags) == 1 && r.Prefix != "" {
		w.in("And", conditions)
		return
	}
	conditions()
}

type writer struct {
	buf    bytes.Buffer
	prefix string
}

func (w *writer) in(name string, content func()) {
	w.buf.WriteString("<" + w.prefix + name + ">")
	content()
	w.buf.WriteString("</" + w.prefix + name + ">")
}

func (w *writer) leaf(name, text string) {
	w.in(name, func() { _ = xml.EscapeText(&w.buf, []byte(text)) }) // a buffer takes everything
}
