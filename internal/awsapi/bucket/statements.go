package bucket

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/iampolicy"
)

// A policy document of a bucket as a list of members, in their order and with the
// bytes of their values: what is not ours goes back as it came.
type policyDocument struct {
	members    []member
	statements statementList
}

type member struct {
	name  string
	value json.RawMessage
}

type statementList []statement

type statement struct {
	sid string
	raw json.RawMessage
}

// parseStatements reads the statements of a policy; none of no policy.
func parseStatements(raw []byte) (statementList, error) {
	d, err := parsePolicy(raw)
	return d.statements, err
}

func parsePolicy(raw []byte) (policyDocument, error) {
	var d policyDocument
	if len(bytes.TrimSpace(raw)) == 0 {
		return d, nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return d, errors.New("it is not a JSON object")
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return d, fmt.Errorf("it is not valid JSON: %w", err)
		}
		var m member
		m.name, _ = name.(string)
		if err := dec.Decode(&m.value); err != nil {
			return d, fmt.Errorf("it is not valid JSON: %w", err)
		}
		d.members = append(d.members, m)
	}
	if _, err := dec.Token(); err != nil {
		return d, fmt.Errorf("it is not valid JSON: %w", err)
	}
	if i := d.index("Statement"); i >= 0 {
		if err := d.read(d.members[i].value); err != nil {
			return d, err
		}
	}
	return d, nil
}

func (d *policyDocument) index(name string) int {
	return slices.IndexFunc(d.members, func(m member) bool { return m.name == name })
}

// read takes the statements out of the member; one alone may stand without a list.
func (d *policyDocument) read(value json.RawMessage) error {
	var list []json.RawMessage
	if json.Unmarshal(value, &list) != nil {
		list = []json.RawMessage{value}
	}
	for _, raw := range list {
		var s struct{ Sid string }
		if err := json.Unmarshal(raw, &s); err != nil {
			return fmt.Errorf("a statement of it cannot be read: %w", err)
		}
		d.statements = append(d.statements, statement{s.Sid, raw})
	}
	return nil
}

// has reports whether every one of these statements is there, and says the same.
func (s statementList) has(wanted []iampolicy.Statement) bool {
	for _, w := range wanted {
		if !slices.ContainsFunc(s, func(have statement) bool { return have.sid == w.Sid && same(have.raw, written(w)) }) {
			return false
		}
	}
	return true
}

// any reports whether a statement has one of these Sids.
func (s statementList) any(sids ...string) bool {
	return slices.ContainsFunc(s, func(have statement) bool { return slices.Contains(sids, have.sid) })
}

// keyOf gives the KMS key that the statement with this Sid names.
func (s statementList) keyOf(sid string) string {
	for _, have := range s {
		if have.sid != sid {
			continue
		}
		d, err := iampolicy.Parse(document(have.raw))
		if err != nil || len(d.Statements) != 1 {
			return ""
		}
		for _, key := range d.Statements[0].Conditions["StringNotEquals"][sseKeyHeader] {
			return key
		}
	}
	return ""
}

// mergeStatements puts the wanted statements in the place of those with one of the
// Sids ours, and leaves all others as they are. merged is nil when nothing is left.
func mergeStatements(raw []byte, ours []string, wanted []iampolicy.Statement) (merged []byte, changed bool, err error) {
	d, err := parsePolicy(raw)
	if err != nil {
		return nil, false, err
	}
	var foreign, own statementList
	for _, s := range d.statements {
		if slices.Contains(ours, s.sid) {
			own = append(own, s)
		} else {
			foreign = append(foreign, s)
		}
	}
	if len(own) == len(wanted) && own.has(wanted) {
		return raw, false, nil
	}
	list := foreign
	for _, w := range wanted {
		list = append(list, statement{w.Sid, written(w)})
	}
	if len(list) == 0 {
		return nil, true, nil
	}
	return d.with(list), true, nil
}

// with is the document with other statements.
func (d *policyDocument) with(list statementList) []byte {
	var all bytes.Buffer
	all.WriteByte('[')
	for i, s := range list {
		if i > 0 {
			all.WriteByte(',')
		}
		all.Write(s.raw)
	}
	all.WriteByte(']')
	members := slices.Clone(d.members)
	if len(members) == 0 {
		members = []member{{"Version", json.RawMessage(`"` + iampolicy.Version + `"`)}}
	}
	if i := d.index("Statement"); i >= 0 {
		members[i].value = all.Bytes()
	} else {
		members = append(members, member{"Statement", all.Bytes()})
	}
	var out bytes.Buffer
	out.WriteByte('{')
	for i, m := range members {
		if i > 0 {
			out.WriteByte(',')
		}
		name, _ := json.Marshal(m.name) //nolint:errchkjson // a text
		out.Write(name)
		out.WriteByte(':')
		out.Write(m.value)
	}
	out.WriteByte('}')
	return out.Bytes()
}

// written is a statement alone as JSON.
func written(s iampolicy.Statement) json.RawMessage {
	var d struct{ Statement []json.RawMessage }
	if err := json.Unmarshal(iampolicy.Document{Statements: []iampolicy.Statement{s}}.JSON(), &d); err != nil {
		panic(fmt.Sprintf("a statement of an IAM policy cannot be read back: %v", err)) // what was just written
	}
	return d.Statement[0]
}

func document(raw json.RawMessage) []byte {
	return []byte(`{"Version":"` + iampolicy.Version + `","Statement":[` + string(raw) + `]}`)
}

// same compares what two statements say: S3 gives a policy back in its own spelling.
func same(a, b json.RawMessage) bool { return iampolicy.Same(document(a), document(b)) }
