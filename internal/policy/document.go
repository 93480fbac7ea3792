// Package policy is the policy document: what must be recoverable, how fast and
// for how long, and in which storage classes, as the provider writes it to a
// repository and the runner reads it back. It parses, validates, writes the
// canonical form, takes the digest, says what a change means, and names the
// revisions.
//
// It is pure: storing revisions is the repository's business, deciding about
// points is package retention's, what S3 knows of its classes package
// storageclass's, and what they cost package cost's.
package policy

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/identifier"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/strictjson"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/timezone"
)

// Format is the version of the document this program writes, and the newest it
// reads.
const Format = 1

// Document is one policy.
type Document struct {
	Format      int            `json:"format"`
	Name        string         `json:"name"`
	Environment string         `json:"environment,omitempty"` // such as "production"
	Timezone    string         `json:"timezone,omitempty"`    // IANA name, where days begin; "" is UTC
	Objectives  Objectives     `json:"objectives,omitzero"`
	Retention   retention.Keep `json:"retention"`
	Storage     Storage        `json:"storage,omitzero"`
}

// Objectives are what is promised to the business; alarms and reports compare
// with them.
type Objectives struct {
	RPO duration.Duration `json:"rpo,omitzero"` // how much work may be lost
	RTO duration.Duration `json:"rto,omitzero"` // how long a restore may take
}

// IsZero reports whether nothing is promised; "0s" promises nothing.
func (o Objectives) IsZero() bool { return o.RPO.IsZero() && o.RTO.IsZero() }

// ErrNewerFormat is wrapped by the error for a document of a newer program.
var ErrNewerFormat = strictjson.ErrNewerFormat

// ValidateName holds the rule for names of policies, which become part of keys.
func ValidateName(name string) error {
	if err := identifier.Check(name); err != nil {
		return fmt.Errorf("policy name %w", err)
	}
	return nil
}

// Parse reads and validates a document. Errors say where and what is wrong, and
// the nearest valid name for an unknown field; one for a newer format wraps
// ErrNewerFormat.
func Parse(data []byte) (Document, error) {
	if err := strictjson.CheckFormat("policy", data, Format); err != nil {
		return Document{}, err
	}
	var d Document
	if err := strictjson.UnmarshalNamed("policy", data, &d); err != nil {
		return Document{}, err
	}
	if err := d.Validate(); err != nil {
		return Document{}, err
	}
	return d, nil
}

// Validate reports everything wrong with the document at once.
func (d Document) Validate() error {
	var errs []error
	if d.Format != Format {
		errs = append(errs, fmt.Errorf("format is %d: give %d", d.Format, Format))
	}
	errs = append(errs, ValidateName(d.Name), validateEnvironment(d.Environment))
	rules, err := d.Rules()
	errs = append(errs, err, rules.Validate(), d.validateStorage())
	if joined := errors.Join(errs...); joined != nil {
		return fmt.Errorf("policy %q: %w", clip(d.Name), joined)
	}
	return nil
}

func validateEnvironment(s string) error {
	if utf8.RuneCountInString(s) > 64 {
		return errors.New("environment: more than 64 characters")
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return errors.New("environment: only printable characters are allowed")
		}
	}
	return nil
}

// clip bounds what an error repeats of a document that may be hostile.
func clip(s string) string {
	if len(s) <= 63 {
		return s
	}
	end := 60
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

// Rules gives the retention rules with ceiling and time zone resolved.
func (d Document) Rules() (retention.Rules, error) {
	rules := retention.Rules{Keep: d.Retention, ExpireAfter: d.Storage.ExpireAfter}
	loc, err := timezone.Load(d.Timezone)
	if err != nil {
		return rules, fmt.Errorf("timezone: %w", err)
	}
	rules.Location = loc
	return rules, nil
}

// Canonical gives the one byte form of the document: fields in the order of the
// struct, nothing that is not set, no white space. Durations keep the user's
// spelling, so a new spelling is a new digest but not a change (see Diff).
func (d Document) Canonical() []byte {
	data, err := marshal(d)
	if err != nil {
		// Numbers, strings and durations cannot fail to be written.
		panic(fmt.Sprintf("policy document %q cannot be written: %v", d.Name, err))
	}
	return data
}

// Digest gives the SHA-256 of the canonical form in hexadecimal.
func (d Document) Digest() string { return digestOf(d.Canonical()) }

func digestOf(canonical []byte) string {
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:])
}

// marshal writes JSON without the HTML escapes that make it hard to read.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
