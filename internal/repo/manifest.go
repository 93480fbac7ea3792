package repo

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
)

// ManifestFormat is the newest manifest format this program reads and writes.
const ManifestFormat = 1

// maxManifest bounds a manifest in bytes: long lists are objects of their own.
const maxManifest = 16 << 20

// Manifest is the commit marker of a recovery point and tells all about it.
// Times are UTC. Unknown fields of a known format are ignored on reading and
// are never rewritten, so nothing is lost.
type Manifest struct {
	Format     int       `json:"format"`
	ID         string    `json:"id"`
	Repository string    `json:"repository"`
	Source     string    `json:"source"`
	Kind       string    `json:"kind"`
	Parent     string    `json:"parent,omitempty"`
	Start      time.Time `json:"start"` // runner's clock; the second equals the id's
	End        time.Time `json:"end"`

	Server       Server       `json:"server"`
	Tool         string       `json:"tool"`   // what dumped, e.g. "pg_dump 15.18"
	Runner       string       `json:"runner"` // version of pgbackup-runner
	Verification Verification `json:"verification"`
	Objects      []Object     `json:"objects"`
	Seal         *SealHeader  `json:"seal,omitempty"`
	Totals       Totals       `json:"totals"`
	Skipped      []Skipped    `json:"skipped,omitempty"`
	Selection    *Selection   `json:"selection,omitempty"`
	Origin       *Origin      `json:"origin,omitempty"`

	Policy         string `json:"policy,omitempty"`
	PolicyRevision int    `json:"policy_revision,omitempty"`
	Job            string `json:"job,omitempty"`
	Host           string `json:"host,omitempty"` // machine that the runner ran on
	// Run is when the run began that made the point, alone or with others, by the
	// runner's clock.
	Run time.Time `json:"run,omitzero"`
	// Tier is the tier the point was uploaded in; tier marks say what became of it.
	Tier string `json:"tier,omitempty"`

	// RDS is the snapshot that a point of kind rds_snapshot stands for. Its data is
	// with AWS; the point holds the description of it alone.
	RDS *RDSSnapshot `json:"rds,omitempty"`

	// Physical is what a base backup has beyond a backup of files.
	Physical *Physical `json:"physical,omitempty"`

	// Durations of each step in seconds.
	Durations map[string]float64 `json:"durations,omitempty"`
}

// KindRDSSnapshot is the kind of points whose data is a snapshot in RDS.
const KindRDSSnapshot = "rds_snapshot"

// RDSSnapshot is a manual snapshot of an RDS instance or cluster.
type RDSSnapshot struct {
	ARN          string    `json:"arn"`
	Snapshot     string    `json:"snapshot"`     // its name
	Database     string    `json:"database"`     // identifier of the instance or cluster
	DatabaseARN  string    `json:"database_arn"` // of the same
	Cluster      bool      `json:"cluster,omitempty"`
	Region       string    `json:"region"`
	Account      string    `json:"account"`
	Engine       string    `json:"engine"`
	Version      string    `json:"engine_version"`
	AllocatedGiB int64     `json:"allocated_gib"` // storage of the database: an upper bound of the snapshot's
	Encrypted    bool      `json:"encrypted"`
	KMSKey       string    `json:"kms_key,omitempty"` // ARN
	Created      time.Time `json:"created"`           // by the clock of AWS
	// Request says what asked for the snapshot, where whoever asks again after a
	// crash should find this one.
	Request string `json:"request,omitempty"`
}

// Server is the PostgreSQL server that was read.
type Server struct {
	Version          string `json:"version"` // "15.18 (Debian …)"
	Major            int    `json:"major"`
	SystemIdentifier string `json:"system_identifier,omitempty"`
	Database         string `json:"database,omitempty"`
	Encoding         string `json:"encoding,omitempty"`
	Collate          string `json:"collate,omitempty"`
	Ctype            string `json:"ctype,omitempty"`
	LocaleProvider   string `json:"locale_provider,omitempty"`
	Locale           string `json:"locale,omitempty"`
	ICURules         string `json:"icu_rules,omitempty"`
	// Extensions that the database uses, by name: what a server that it is restored
	// to must have.
	Extensions []string  `json:"extensions,omitempty"`
	InRecovery bool      `json:"in_recovery,omitempty"` // a standby was read
	Clock      time.Time `json:"clock"`                 // server's clock at start
	LSN        string    `json:"lsn,omitempty"`
	Timeline   uint32    `json:"timeline,omitempty"`
}

// Verification says how far a point was verified before it became visible, and
// claims nothing beyond it.
type Verification struct {
	// Level is "streamed" (parsed and hashed while streaming) or "stored" (our
	// own compressed and sealed output was decoded again in line as well).
	Level string `json:"level"`
	// Archive: our reader followed the archive to its end, every data entry of
	// its table of contents was seen exactly once and nothing followed.
	Archive bool `json:"archive"`
	// Reference is the tool that also read the whole archive ("pg_restore 15.18").
	Reference string `json:"reference,omitempty"`
	// StoreChecksum is the store's own checksum that agreed with ours on every
	// object ("crc64nvme"), or "" where the store reports none.
	StoreChecksum string `json:"store_checksum,omitempty"`
}

// Object is one stored data object.
type Object struct {
	Name        string `json:"name"`   // below the point's data prefix: "archive.0000"
	Stream      string `json:"stream"` // "archive", "index", "tables", "globals"
	Ordinal     uint32 `json:"ordinal"`
	Chunks      uint32 `json:"chunks"`
	Size        int64  `json:"size"`       // stored bytes
	PlainSize   int64  `json:"plain_size"` // bytes before compression
	SHA256      string `json:"sha256"`     // of the stored bytes, hex
	PlainSHA256 string `json:"plain_sha256"`
	VersionID   string `json:"version_id,omitempty"`
	Compression string `json:"compression"` // "zstd"
}

// SealHeader tells how a sealed point is opened.
type SealHeader struct {
	Algorithm     string `json:"algorithm"`      // "AES-256-GCM"
	RepositoryKey string `json:"repository_key"` // fingerprint
	PointKey      []byte `json:"point_key"`      // wrapped by the repository key
	// OuterKey opened the repository for the run that made the point: its
	// fingerprint or ARN. It tells whose job still uses a key, and opens nothing.
	OuterKey string `json:"outer_key,omitempty"`
}

// Totals of the contents, from the dump stream itself (V2).
type Totals struct {
	Tables       int64 `json:"tables"`
	Rows         int64 `json:"rows"`
	Bytes        int64 `json:"bytes"` // of table data, as COPY text
	LargeObjects int64 `json:"large_objects"`
	Files        int64 `json:"files,omitempty"` // of a tar; Bytes is then what is in them
}

// Skipped is something the backup does not hold, and why.
type Skipped struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// Selection repeats what was asked to be included and left out.
type Selection struct {
	IncludeTables  []string `json:"include_tables,omitempty"`
	ExcludeTables  []string `json:"exclude_tables,omitempty"`
	IncludeSchemas []string `json:"include_schemas,omitempty"`
	ExcludeSchemas []string `json:"exclude_schemas,omitempty"`
}

// Origin says where the contents of a point came from that is not of a database.
type Origin struct {
	Host      string   `json:"host,omitempty"`      // whose disk was read
	Paths     []string `json:"paths,omitempty"`     // of files and directories, absolute
	Exclude   []string `json:"exclude,omitempty"`   // patterns of what was left out
	Program   string   `json:"program,omitempty"`   // whose output it is, without its arguments
	FileName  string   `json:"file_name,omitempty"` // what the output is called when it is restored
	Directory string   `json:"directory,omitempty"` // of a server's configuration
	// RDS names the instance or cluster whose parameter group was read.
	RDS            string `json:"rds,omitempty"`
	RDSCluster     bool   `json:"rds_cluster,omitempty"`
	ParameterGroup string `json:"parameter_group,omitempty"`
	// Imported is the file of another program that the contents were taken from. The
	// point's start is then the file's own date, and what is said of the server is of
	// the one that the file was loaded into.
	Imported *Imported `json:"imported,omitempty"`
}

// Imported is a dump that another program made.
type Imported struct {
	Name          string   `json:"name"`                     // where it was, without what may be secret in a URL
	SHA256        string   `json:"sha256"`                   // of the stored bytes, hex
	Size          int64    `json:"size"`                     // of the same, in bytes
	Format        string   `json:"format"`                   // such as "custom archive"
	WrappedIn     []string `json:"wrapped_in,omitempty"`     // gzip, openssl, …: outermost first
	Database      string   `json:"database,omitempty"`       // of those in the file, where it says
	DateFrom      string   `json:"date_from"`                // who says when it was dumped
	ServerVersion string   `json:"server_version,omitempty"` // of the server that was dumped
	DumpVersion   string   `json:"dump_version,omitempty"`   // of the pg_dump that did
	Notes         []string `json:"notes,omitempty"`          // what loading it left out
}

// Ref of the point the manifest commits.
func (m *Manifest) Ref() Ref { return Ref{Source: m.Source, Kind: m.Kind, ID: m.ID, Parent: m.Parent} }

// StoredSize is the sum of all stored objects in bytes.
func (m *Manifest) StoredSize() int64 {
	var n int64
	for _, o := range m.Objects {
		n += o.Size
	}
	return n
}

// PlainSize is the size in bytes of a stream before compression, such as the
// archive that `cat` writes.
func (m *Manifest) PlainSize(stream string) int64 {
	var n int64
	for _, o := range m.Stream(stream) {
		n += o.PlainSize
	}
	return n
}

// Stream returns the objects of a stream in order.
func (m *Manifest) Stream(name string) []Object {
	var objects []Object
	for _, o := range m.Objects {
		if o.Stream == name {
			objects = append(objects, o)
		}
	}
	return objects
}

// envelope is a manifest as stored: the document's exact bytes beside their
// digests, so that checking needs no canonical form. SHA256 shows accidents to
// everybody, HMAC (of sealed repositories) shows edits to those with the key.
type envelope struct {
	Manifest json.RawMessage `json:"manifest"`
	SHA256   []byte          `json:"sha256"`
	HMAC     []byte          `json:"hmac,omitempty"`
}

func encodeManifest(m *Manifest, key *seal.RepositoryKey) ([]byte, error) {
	doc, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode manifest %s: %w", m.Ref(), err)
	}
	sum := sha256.Sum256(doc)
	env := envelope{Manifest: doc, SHA256: sum[:]}
	if key != nil {
		env.HMAC = key.MAC(m.Ref().ManifestKey(), doc)
	}
	data, err := json.Marshal(env)
	if err == nil && len(data) > maxManifest {
		err = fmt.Errorf("it has %d bytes, at most %d can be read back", len(data), maxManifest)
	}
	if err != nil {
		return nil, fmt.Errorf("encode manifest %s: %w", m.Ref(), err)
	}
	return data, nil
}

// decodeManifest reads a stored manifest of ref. key is nil when the repository
// is not sealed, or when the caller has no key: then keyless reading says so.
func decodeManifest(data []byte, ref Ref, repository string, sealed bool, key *seal.RepositoryKey) (*Manifest, error) {
	name := ref.ManifestKey()
	damaged := func(err error) error {
		return fmt.Errorf("manifest %s: %w: %w", name, ErrDamaged, err)
	}
	var env envelope
	if err := decodeOne(data, &env); err != nil {
		return nil, damaged(err)
	}
	if len(env.Manifest) == 0 {
		return nil, damaged(fmt.Errorf("it has no manifest in it"))
	}
	var head struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(env.Manifest, &head); err != nil {
		return nil, damaged(err)
	}
	// Whole before new: a flipped digit is damage, not a newer format. A newer
	// format may do without this digest.
	sum := sha256.Sum256(env.Manifest)
	intact := bytes.Equal(sum[:], env.SHA256)
	if !intact && len(env.SHA256) > 0 {
		return nil, damaged(errors.New("its SHA-256 is not that of its content"))
	}
	if head.Format > ManifestFormat {
		return nil, fmt.Errorf("manifest %s: %w: format %d, this pgbackup reads up to %d; use a newer pgbackup-runner", name, ErrNewerFormat, head.Format, ManifestFormat)
	}
	if !intact {
		return nil, damaged(errors.New("it has no SHA-256"))
	}
	if sealed && key != nil {
		if err := key.CheckMAC(name, env.Manifest, env.HMAC); err != nil {
			return nil, fmt.Errorf("manifest %s: %w: %w", name, ErrDamaged, err)
		}
	}
	m := &Manifest{}
	if err := json.Unmarshal(env.Manifest, m); err != nil {
		return nil, damaged(err)
	}
	if err := m.check(ref, repository, sealed); err != nil {
		return nil, damaged(err)
	}
	return m, nil
}

// check compares what the manifest says with where it was found, and bounds
// what a reader will trust.
func (m *Manifest) check(ref Ref, repository string, sealed bool) error {
	start, err := ParseID(ref.ID)
	if err != nil {
		return err
	}
	switch {
	case m.Format < 1:
		return fmt.Errorf("it has no format")
	case m.ID != ref.ID || m.Source != ref.Source || m.Kind != ref.Kind || m.Parent != ref.Parent:
		return fmt.Errorf("it says it is of %s: it was moved or edited", m.Ref())
	case m.Repository != repository:
		return fmt.Errorf("it belongs to repository %q", m.Repository)
	case !m.Start.UTC().Truncate(time.Second).Equal(start):
		return fmt.Errorf("it says it started at %s, its id says %s", m.Start.UTC().Format(time.RFC3339), start.Format(time.RFC3339))
	case sealed != (m.Seal != nil):
		return fmt.Errorf("whether it is sealed does not agree with repository.json")
	case (m.RDS != nil) != (m.Kind == KindRDSSnapshot):
		return fmt.Errorf("it is of kind %s, and whether it names a snapshot in RDS does not agree with that", m.Kind)
	case (m.Physical != nil) != (m.Kind == retention.KindPhysical):
		return fmt.Errorf("it is of kind %s, and whether it says where in WAL it lies does not agree with that", m.Kind)
	case len(m.Objects) == 0:
		return fmt.Errorf("it names no objects")
	}
	names, ordinals := map[string]bool{}, map[uint32]bool{}
	for _, o := range m.Objects {
		if !validObjectName(o.Name) || names[o.Name] || ordinals[o.Ordinal] {
			return fmt.Errorf("its object %q is not a valid name or stands twice", o.Name)
		}
		if o.Size < 0 || o.Size > maxBytes || o.PlainSize < 0 || o.PlainSize > maxBytes || o.Chunks == 0 {
			return fmt.Errorf("its object %q has an impossible size", o.Name)
		}
		names[o.Name], ordinals[o.Ordinal] = true, true
	}
	return nil
}

// validKind: kinds are segments of keys and are named as job files name them.
func validKind(kind string) bool { return validObjectName(strings.ReplaceAll(kind, "_", "-")) }

// validObjectName keeps a hostile manifest from naming objects elsewhere.
func validObjectName(name string) bool {
	if name == "" || len(name) > 64 {
		return false
	}
	for _, c := range []byte(name) {
		ok := c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '-'
		if !ok {
			return false
		}
	}
	return name[0] != '.'
}

// decodeOne decodes exactly one JSON value.
func decodeOne(data []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(into); err != nil {
		return err
	}
	if dec.More() {
		return fmt.Errorf("something follows the document at byte %d", dec.InputOffset())
	}
	return nil
}
