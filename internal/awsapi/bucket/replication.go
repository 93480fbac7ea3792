package bucket

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const (
	replicationRoot = "ReplicationConfiguration"
	s3Namespace     = "http://s3.amazonaws.com/doc/2006-03-01/"
)

// replicationDocument is the replication document of a bucket: its bytes, and
// where the rules lie in them.
type replicationDocument struct {
	raw    []byte
	role   string
	rules  []replicationRule
	inside int // offset in raw where another rule goes
}

type replicationRule struct {
	id         string
	priority   int
	older      bool // S3's form without Filter, which does not mix with ours
	says       Replication
	start, end int // in raw
}

// ruleXML is what is read of a rule; more of it stays in the raw bytes.
type ruleXML struct {
	ID          string
	Priority    int
	Status      string
	Prefix      *string
	Filter      *struct{ Prefix string }
	Destination struct {
		Bucket                  string
		StorageClass            string
		EncryptionConfiguration struct {
			ReplicaKMSKeyID string `xml:"ReplicaKmsKeyID"`
		}
	}
	DeleteMarkerReplication struct{ Status string }
}

// parseReplication reads the document; no bytes are a bucket without rules.
func parseReplication(raw []byte) (replicationDocument, error) {
	d := replicationDocument{raw: raw}
	if len(bytes.TrimSpace(raw)) == 0 {
		return d, nil
	}
	dec := xml.NewDecoder(bytes.NewReader(raw))
	root := false
	for {
		start := int(dec.InputOffset())
		token, err := dec.Token()
		if errors.Is(err, io.EOF) && root {
			return d, nil
		}
		if err != nil {
			return d, fmt.Errorf("they are not valid XML: %w", err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			if err := d.element(dec, t, start, &root); err != nil {
				return d, err
			}
		case xml.EndElement: // of the root: children are read whole
			d.inside = start
		}
	}
}

func (d *replicationDocument) element(dec *xml.Decoder, t xml.StartElement, start int, root *bool) error {
	if !*root {
		if t.Name.Local != replicationRoot {
			return fmt.Errorf("the document begins with <%.40s>", t.Name.Local)
		}
		if !bytes.HasPrefix(d.raw[start:], []byte("<"+replicationRoot)) {
			return errors.New("its elements have a namespace prefix, which pgbackup does not write")
		}
		*root = true
		return nil
	}
	switch t.Name.Local {
	case "Role":
		if err := dec.DecodeElement(&d.role, &t); err != nil {
			return fmt.Errorf("they are not valid XML: %w", err)
		}
	case "Rule":
		var x ruleXML
		if err := dec.DecodeElement(&x, &t); err != nil {
			return fmt.Errorf("a rule cannot be read: %w", err)
		}
		d.rules = append(d.rules, x.rule(start, int(dec.InputOffset())))
	default:
		if err := dec.Skip(); err != nil {
			return fmt.Errorf("they are not valid XML: %w", err)
		}
	}
	return nil
}

func (x ruleXML) rule(start, end int) replicationRule {
	r := replicationRule{id: x.ID, priority: x.Priority, older: x.Prefix != nil && x.Filter == nil, start: start, end: end}
	r.says = Replication{
		Replica: x.Destination.Bucket, StorageClass: x.Destination.StorageClass, KMSKey: x.Destination.EncryptionConfiguration.ReplicaKMSKeyID,
		// A rule that copies deletions is as little ours as one that is off.
		Disabled: x.Status != "Enabled" || x.DeleteMarkerReplication.Status == "Enabled",
	}
	if x.Filter != nil {
		r.says.Prefix = strings.TrimSpace(x.Filter.Prefix)
	}
	return r
}

// with is the document with our rule, in its place or behind the others.
func (d *replicationDocument) with(want Replication) (merged []byte, changed bool, err error) {
	id := replicationID(want.Prefix)
	if d.role == "" || !slices.ContainsFunc(d.rules, func(r replicationRule) bool { return r.id != id }) {
		// The document is ours alone.
		if len(d.rules) == 1 && d.role == want.Role && d.rules[0].says == withoutRole(want) {
			return d.raw, false, nil
		}
		return []byte("<" + replicationRoot + ` xmlns="` + s3Namespace + `"><Role>` + escaped(want.Role) + "</Role>" + ruleText(want, id, 1) + "</" + replicationRoot + ">"), true, nil
	}
	if d.role != want.Role {
		return nil, false, fmt.Errorf("all rules of a bucket share one role, and others use %s: set replica.role_arn to it, and let that role replicate into %s too", d.role, want.Replica)
	}
	priority, own := 1, -1
	for i, r := range d.rules {
		switch {
		case r.id == id:
			own = i
		case r.older:
			return nil, false, fmt.Errorf("the rule %.80q has S3's older form, beside which no rule of the newer form is accepted: write it with a Filter", r.id)
		default:
			priority = max(priority, r.priority+1)
		}
	}
	if own < 0 {
		return splice(d.raw, d.inside, d.inside, ruleText(want, id, priority)), true, nil
	}
	mine := d.rules[own]
	if mine.says == withoutRole(want) {
		return d.raw, false, nil
	}
	if !slices.ContainsFunc(d.rules, func(r replicationRule) bool { return r.id != id && r.priority == mine.priority }) {
		priority = mine.priority
	}
	return splice(d.raw, mine.start, mine.end, ruleText(want, id, priority)), true, nil
}

// without is the document without a rule; nil when no other is left.
func (d *replicationDocument) without(id string) (merged []byte, changed bool) {
	for _, r := range d.rules {
		if r.id != id {
			continue
		}
		if len(d.rules) == 1 {
			return nil, true
		}
		return splice(d.raw, r.start, r.end, ""), true
	}
	return d.raw, false
}

func withoutRole(r Replication) Replication {
	r.Role = ""
	return r
}

// ruleText writes our rule. Deletions are not copied: what is deleted by mistake or
// by an intruder in one region is still there in the other.
//
// Source: Amazon S3 API Reference, ReplicationRule, for the elements and their order.
func ruleText(r Replication, id string, priority int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<Rule><ID>%s</ID><Priority>%d</Priority><Filter><Prefix>%s</Prefix></Filter><Status>Enabled</Status>", escaped(id), priority, escaped(r.Prefix))
	if r.KMSKey != "" {
		b.WriteString("<SourceSelectionCriteria><SseKmsEncryptedObjects><Status>Enabled</Status></SseKmsEncryptedObjects></SourceSelectionCriteria>")
	}
	fmt.Fprintf(&b, "<Destination><Bucket>%s</Bucket>", escaped(r.Replica))
	if r.StorageClass != "" {
		fmt.Fprintf(&b, "<StorageClass>%s</StorageClass>", escaped(r.StorageClass))
	}
	if r.KMSKey != "" {
		fmt.Fprintf(&b, "<EncryptionConfiguration><ReplicaKmsKeyID>%s</ReplicaKmsKeyID></EncryptionConfiguration>", escaped(r.KMSKey))
	}
	b.WriteString("</Destination><DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication></Rule>")
	return b.String()
}

func escaped(text string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(text)) // a buffer takes all
	return b.String()
}

func splice(raw []byte, start, end int, text string) []byte {
	return slices.Concat(raw[:start], []byte(text), raw[end:])
}

// typedReplication has as much as the SDK insists on before it sends a document.
func typedReplication() *types.ReplicationConfiguration {
	return &types.ReplicationConfiguration{Role: aws.String("raw"), Rules: []types.ReplicationRule{{Status: types.ReplicationRuleStatusEnabled, Destination: &types.Destination{Bucket: aws.String("raw")}}}}
}
