// Package iampolicy is what pgbackup asks of IAM, as policy documents: what a job
// of each kind may do in AWS and nothing besides, and who may take on its role.
//
// It is pure: attaching a document to a role is the business of awsapi/role. What
// must not live here: anything that is not a permission.
package iampolicy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Document is an IAM policy document: a permissions policy, a trust policy, or
// the policy of a bucket or topic.
type Document struct {
	Statements []Statement
}

// Statement is one statement of a document. Principals is for trust and resource
// policies only; a nil one belongs to whoever the policy is attached to.
type Statement struct {
	Sid        string
	Effect     string              // "" is Allow
	Principals map[string][]string // by type: Service, AWS, Federated; {"*": {"*"}} is everybody
	Actions    []string
	Resources  []string
	Conditions map[string]map[string][]string // operator -> key -> values
}

// Version is the one of the policy language that documents are written in.
const Version = "2012-10-17"

// list is written as a string when there is one value: IAM gives it back so, and
// two spellings of one policy would look like drift.
type list []string

func (l list) MarshalJSON() ([]byte, error) {
	if len(l) == 1 {
		return json.Marshal(l[0])
	}
	return json.Marshal([]string(l))
}

func (l *list) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*l = list{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(l))
}

type statementJSON struct {
	Sid       string                     `json:",omitempty"`
	Effect    string                     `json:""`
	Principal any                        `json:",omitempty"`
	Action    list                       `json:",omitempty"`
	Resource  list                       `json:",omitempty"`
	Condition map[string]map[string]list `json:",omitempty"`
}

// JSON gives the one written form: values sorted, single values as strings.
func (d Document) JSON() []byte {
	out := struct {
		Version   string
		Statement []statementJSON
	}{Version: Version, Statement: []statementJSON{}}
	for _, s := range d.Statements {
		j := statementJSON{Sid: s.Sid, Effect: s.Effect, Action: sorted(s.Actions), Resource: sorted(s.Resources)}
		if j.Effect == "" {
			j.Effect = "Allow"
		}
		if everybody(s.Principals) {
			j.Principal = "*"
		} else if len(s.Principals) > 0 {
			principals := map[string]list{}
			for kind, names := range s.Principals {
				principals[kind] = sorted(names)
			}
			j.Principal = principals
		}
		for operator, keys := range s.Conditions {
			if j.Condition == nil {
				j.Condition = map[string]map[string]list{}
			}
			j.Condition[operator] = map[string]list{}
			for key, values := range keys {
				j.Condition[operator][key] = sorted(values)
			}
		}
		out.Statement = append(out.Statement, j)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(out); err != nil {
		panic(fmt.Sprintf("an IAM policy cannot be written: %v", err)) // texts only
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// Indented is JSON for people.
func (d Document) Indented() string {
	var b bytes.Buffer
	if err := json.Indent(&b, d.JSON(), "", "  "); err != nil {
		panic(fmt.Sprintf("an IAM policy cannot be indented: %v", err))
	}
	return b.String()
}

// Parse reads a document that this package could have written. Elements it does
// not know (NotAction, NotResource, NotPrincipal) are an error: leaving them out
// would change what the policy says.
func Parse(data []byte) (Document, error) {
	var in struct {
		Version   string
		ID        string `json:"Id"`
		Statement json.RawMessage
	}
	if err := strict(data, &in); err != nil {
		return Document{}, fmt.Errorf("IAM policy: %w", err)
	}
	var statements []json.RawMessage
	if err := json.Unmarshal(in.Statement, &statements); err != nil {
		statements = []json.RawMessage{in.Statement} // one statement may stand alone
	}
	d := Document{}
	for i, raw := range statements {
		s, err := parseStatement(raw)
		if err != nil {
			return Document{}, fmt.Errorf("IAM policy, statement %d: %w", i+1, err)
		}
		d.Statements = append(d.Statements, s)
	}
	return d, nil
}

func parseStatement(raw json.RawMessage) (Statement, error) {
	var j struct {
		Sid, Effect string
		Principal   json.RawMessage
		Action      list
		Resource    list
		Condition   map[string]map[string]list
	}
	if err := strict(raw, &j); err != nil {
		return Statement{}, err
	}
	s := Statement{Sid: j.Sid, Effect: j.Effect, Actions: j.Action, Resources: j.Resource}
	if len(j.Principal) > 0 {
		var word string
		kinds := map[string]list{}
		if json.Unmarshal(j.Principal, &word) == nil {
			kinds[word] = list{word}
		} else if err := json.Unmarshal(j.Principal, &kinds); err != nil {
			return Statement{}, errors.New("its Principal is neither a text nor an object of texts")
		}
		s.Principals = map[string][]string{}
		for kind, names := range kinds {
			s.Principals[kind] = names
		}
	}
	for operator, keys := range j.Condition {
		if s.Conditions == nil {
			s.Conditions = map[string]map[string][]string{}
		}
		s.Conditions[operator] = map[string][]string{}
		for key, values := range keys {
			s.Conditions[operator][key] = values
		}
	}
	return s, nil
}

// Same reports whether two documents in JSON say the same, whatever the order of
// their values and however single values are spelled. A document that Parse does
// not read is the same only as its own bytes.
func Same(a, b []byte) bool {
	da, errA := Parse(a)
	db, errB := Parse(b)
	if errA != nil || errB != nil {
		return bytes.Equal(a, b)
	}
	return bytes.Equal(da.JSON(), db.JSON())
}

func strict(data []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	return dec.Decode(into)
}

func sorted(values []string) list {
	out := slices.Clone(values)
	slices.Sort(out)
	return slices.Compact(out)
}

func everybody(principals map[string][]string) bool {
	names, ok := principals["*"]
	return ok && len(principals) == 1 && len(names) == 1 && names[0] == "*"
}
