package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/strictjson"
)

// Revision is one applied state of a policy, numbered from 1 and never changed
// after it was written.
type Revision struct {
	Number   int
	Document Document
	Envelope Envelope

	stored string // see StoredDigest
}

// Envelope says how a revision came to be. It is not part of the digest.
type Envelope struct {
	At              time.Time `json:"at"`                         // when it was written, UTC
	By              string    `json:"by,omitempty"`               // who applied it, as far as is known
	ProviderVersion string    `json:"provider_version,omitempty"` // of the program that wrote it
	Reason          string    `json:"reason,omitempty"`           // in the user's words
	Approval        string    `json:"approval,omitempty"`         // the code that approved a loss
	// Loss is what the writer found that the change loses; nil when the writer
	// did not look.
	Loss *Loss `json:"loss,omitempty"`
	// Retired marks the last revision of a policy that is no longer declared:
	// without a current revision nothing is rotated.
	Retired bool `json:"retired,omitempty"`
}

// Loss is how many recovery points a revision deletes that the one before it
// would have kept, by the keys of the repository alone.
type Loss struct {
	Points int       `json:"points"`
	Bytes  int64     `json:"bytes"`
	AsOf   time.Time `json:"as_of,omitzero"` // the moment it was true at, UTC
	// From and To are the digests of the documents before and after the change it
	// was found of, as stored. From is "" when there was none. A loss copied from
	// another revision says nothing: the runner takes it only when they match.
	From string `json:"from"`
	To   string `json:"to"`
}

var digestPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

func (e Envelope) validate() error {
	if err := checkYear("at", e.At); err != nil || e.Loss == nil {
		return err
	}
	switch {
	case e.Loss.Points < 0:
		return fmt.Errorf("envelope.loss.points is %d: must be 0 or more", e.Loss.Points)
	case e.Loss.Bytes < 0:
		return fmt.Errorf("envelope.loss.bytes is %d: must be 0 or more", e.Loss.Bytes)
	case e.Loss.Points > 0 && e.Loss.AsOf.IsZero():
		return errors.New("envelope.loss.as_of is missing: a loss is true at a moment")
	}
	for field, digest := range map[string]string{"from": e.Loss.From, "to": e.Loss.To} {
		if digest != "" && !digestPattern.MatchString(digest) {
			return fmt.Errorf("envelope.loss.%s is %.80q: must be a digest of 64 hexadecimal digits, or empty", field, digest)
		}
	}
	return checkYear("loss.as_of", e.Loss.AsOf)
}

// checkYear refuses moments that RFC 3339 cannot write in UTC: one read in a
// time zone can be of the year 10000 there.
func checkYear(field string, t time.Time) error {
	if year := t.UTC().Year(); year < 1 || year > 9999 {
		return fmt.Errorf("envelope.%s: the year %d is out of range", field, year)
	}
	return nil
}

// utc gives the envelope with every moment in UTC, sharing nothing with e.
func (e Envelope) utc() Envelope {
	e.At = e.At.UTC()
	if e.Loss != nil {
		loss := *e.Loss
		loss.AsOf = loss.AsOf.UTC()
		e.Loss = &loss
	}
	return e
}

// revisionFile is the stored form.
type revisionFile struct {
	Format   int             `json:"format"`
	Revision int             `json:"revision"`
	Digest   string          `json:"digest"`
	Envelope Envelope        `json:"envelope"`
	Document json.RawMessage `json:"document"`
}

// Digest is the digest of the document.
func (r Revision) Digest() string { return r.Document.Digest() }

// StoredDigest is the digest of the document as it was stored, which an older
// program may have spelled differently; of a revision that was not read, Digest.
func (r Revision) StoredDigest() string {
	if r.stored == "" {
		return r.Digest()
	}
	return r.stored
}

// Key is where the revision is stored; see RevisionKey.
func (r Revision) Key() string { return RevisionKey(r.Document.Name, r.Number, r.Digest()) }

// Encode gives the stored form, indented for people who open it.
func (r Revision) Encode() ([]byte, error) {
	if err := checkNumber(r.Number); err != nil {
		return nil, fmt.Errorf("policy %q: %w", clip(r.Document.Name), err)
	}
	if err := r.Document.Validate(); err != nil {
		return nil, err
	}
	if err := r.Envelope.validate(); err != nil {
		return nil, fmt.Errorf("revision %d of policy %q: %w", r.Number, r.Document.Name, err)
	}
	data, err := marshal(revisionFile{Format: Format, Revision: r.Number, Digest: r.Digest(), Envelope: r.Envelope.utc(), Document: r.Document.Canonical()})
	if err != nil {
		return nil, fmt.Errorf("write revision %d of policy %q: %w", r.Number, r.Document.Name, err)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, data, "", "  "); err != nil {
		return nil, fmt.Errorf("write revision %d of policy %q: %w", r.Number, r.Document.Name, err)
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// ErrDigest is wrapped by the error for a revision whose document is not the
// one its digest was taken of.
var ErrDigest = errors.New("the document was changed after it was written")

// ParseRevision reads a stored revision and checks its digest.
func ParseRevision(data []byte) (Revision, error) {
	const what = "policy revision"
	if err := strictjson.CheckFormat(what, data, Format); err != nil {
		return Revision{}, err
	}
	var file revisionFile
	if err := strictjson.UnmarshalNamed(what, data, &file); err != nil {
		return Revision{}, err
	}
	if file.Format != Format {
		return Revision{}, fmt.Errorf("%s: format is %d: this program reads %d", what, file.Format, Format)
	}
	if err := checkNumber(file.Revision); err != nil {
		return Revision{}, fmt.Errorf("%s: %w", what, err)
	}
	if file.Envelope.At.IsZero() {
		return Revision{}, fmt.Errorf("%s: envelope.at is missing", what)
	}
	if err := file.Envelope.validate(); err != nil {
		return Revision{}, fmt.Errorf("%s: %w", what, err)
	}
	if len(file.Document) == 0 {
		return Revision{}, fmt.Errorf("%s: document is missing", what)
	}
	document, err := Parse(file.Document)
	if err != nil {
		return Revision{}, fmt.Errorf("%s %d: %w", what, file.Revision, err)
	}
	// Taken of the stored bytes, not of what this program would write, so that
	// documents of older programs keep their digest.
	var compact bytes.Buffer
	if err := json.Compact(&compact, file.Document); err != nil {
		return Revision{}, fmt.Errorf("%s %d: %w", what, file.Revision, err)
	}
	if digest := digestOf(compact.Bytes()); digest != file.Digest {
		return Revision{}, fmt.Errorf("%s %d of policy %q: %w (digest %s, stored %.64q)", what, file.Revision, document.Name, ErrDigest, digest, file.Digest)
	}
	return Revision{Number: file.Revision, Document: document, Envelope: file.Envelope.utc(), stored: file.Digest}, nil
}

const maxNumber = 999_999 // six digits keep keys in order

func checkNumber(n int) error {
	if n < 1 || n > maxNumber {
		return fmt.Errorf("revision %d: must be from 1 to %d", n, maxNumber)
	}
	return nil
}

// RevisionKey names revision n of a policy, relative to the prefix of the
// repository: policies/prod/000001-9c41d2e83b7a.json. Keys sort by number.
func RevisionKey(policy string, n int, digest string) string {
	return fmt.Sprintf("policies/%s/%06d-%.12s.json", policy, n, digest)
}

// RevisionPrefix begins the keys of all revisions of a policy.
func RevisionPrefix(policy string) string { return "policies/" + policy + "/" }

var keyPattern = regexp.MustCompile(`^policies/([a-z0-9-]+)/([0-9]{6})-([0-9a-f]{12})\.json$`)

// ParseRevisionKey takes a key apart again; digest is its first 12 digits.
func ParseRevisionKey(key string) (policy string, n int, digest string, err error) {
	m := keyPattern.FindStringSubmatch(key)
	if m == nil || ValidateName(m[1]) != nil {
		return "", 0, "", fmt.Errorf("%.200q is not the key of a policy revision", key)
	}
	n, err = strconv.Atoi(m[2])
	if err != nil || checkNumber(n) != nil {
		return "", 0, "", fmt.Errorf("%.200q is not the key of a policy revision: revisions count from 000001", key)
	}
	return m[1], n, m[3], nil
}
