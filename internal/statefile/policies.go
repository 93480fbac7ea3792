package statefile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// attributes are those of pgbackup_policy that make up its document. They have
// the names and the nesting of the document, so all but retention are read as one.
type attributes struct {
	ID          json.RawMessage `json:"id"`
	Name        json.RawMessage `json:"name"`
	Environment json.RawMessage `json:"environment"`
	Timezone    json.RawMessage `json:"timezone"`
	Objectives  json.RawMessage `json:"objectives"`
	Storage     json.RawMessage `json:"storage"`
	Retention   json.RawMessage `json:"retention"`
}

// readPolicy makes the document of the attributes. It is forgiving about names it
// does not know: another version of the provider may have written them.
func readPolicy(raw json.RawMessage) Policy {
	var a attributes
	if len(raw) == 0 || json.Unmarshal(raw, &a) != nil {
		return Policy{Problem: errors.New("its attributes are not an object")}
	}
	p := Policy{Document: policy.Document{Format: policy.Format}}
	for _, part := range []struct {
		name string
		raw  json.RawMessage
		into any
	}{
		{"id", a.ID, &p.ID},
		{"name", a.Name, &p.Document.Name},
		{"environment", a.Environment, &p.Document.Environment},
		{"timezone", a.Timezone, &p.Document.Timezone},
		{"objectives", a.Objectives, &p.Document.Objectives},
		{"storage", a.Storage, &p.Document.Storage},
	} {
		if part.raw != nil && json.Unmarshal(part.raw, part.into) != nil {
			return Policy{ID: p.ID, Problem: fmt.Errorf("its attribute %s is not as this program knows it", part.name)}
		}
	}
	keep, err := readRules(a.Retention)
	if err != nil {
		return Policy{ID: p.ID, Problem: fmt.Errorf("its attribute retention is not as this program knows it: %w", err)}
	}
	p.Document.Retention = keep
	return p
}

// readRules reads the dynamic attribute retention, stored as a value beside its
// type: an object with numbers and texts, or a map whose values Terraform has
// made all of one type.
func readRules(raw json.RawMessage) (retention.Keep, error) {
	var keep retention.Keep
	var dynamic struct {
		Value map[string]json.RawMessage `json:"value"`
	}
	if len(raw) == 0 || json.Unmarshal(raw, &dynamic) != nil {
		return keep, errors.New("it holds no rules")
	}
	fields := keep.Fields()
	known := 0
	for _, f := range fields {
		rule, given := dynamic.Value[f.Name]
		if !given {
			continue
		}
		known++
		text := string(bytes.Trim(bytes.TrimSpace(rule), `"`))
		if text == "null" {
			continue
		}
		if f.Span != nil {
			if json.Unmarshal(rule, f.Span) != nil {
				return retention.Keep{}, fmt.Errorf("%s is not a length of time", f.Name)
			}
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			return retention.Keep{}, fmt.Errorf("%s is not a whole number", f.Name)
		}
		*f.Count = n
	}
	if known != len(dynamic.Value) {
		// Left out it would show a change that never was.
		return retention.Keep{}, errors.New("it has a rule of a newer version")
	}
	return keep, nil
}
