// Package job is the job file: what the provider writes and the runner reads to
// know what to back up, from where, to where and under which policy.
//
// It is pure. It holds references to secrets, never secrets (law 6); reading
// those, opening repositories and doing the work is done elsewhere.
package job

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/strictjson"
)

// Format is the version of the job file this program writes, and the newest it
// reads.
const Format = 1

// Verification says how far a backup is verified before it becomes visible.
type Verification string

const (
	// VerifyStreamed checks the archive and the store's own checksums (law 2).
	VerifyStreamed Verification = "streamed"
	// VerifyStored also decodes our own compressed and sealed output again.
	VerifyStored Verification = "stored"
)

// Job is one job file.
type Job struct {
	Format     int           `json:"format"`
	Name       string        `json:"name"`
	Kind       Kind          `json:"kind"`
	Repository string        `json:"repository"`       // see ParseRepository
	KeyRef     secretref.Ref `json:"key_ref,omitzero"` // outer key of a sealed repository
	// Replica is the copy of the repository in another region, as ParseRepository
	// reads it: what is restored from when the first one does not answer.
	Replica string `json:"replica,omitempty"`
	Policy  string `json:"policy,omitempty"` // name of a policy in the repository
	Source  string `json:"source,omitempty"` // name of what is backed up; "" is made from host and database, or from job and host
	// What the kind of the job needs to know; the one its Kind names is given,
	// kinds without one need nothing.
	Logical     *Logical     `json:"logical,omitempty"`
	Physical    *Physical    `json:"physical,omitempty"`
	WAL         *WAL         `json:"wal,omitempty"`
	Globals     *Globals     `json:"globals,omitempty"`
	Config      *Config      `json:"config,omitempty"`
	Files       *Files       `json:"files,omitempty"`
	Command     *Command     `json:"command,omitempty"`
	RDSSnapshot *RDSSnapshot `json:"rds_snapshot,omitempty"`
	Freshness   *Freshness   `json:"freshness,omitempty"`
	Drill       *Drill       `json:"drill,omitempty"`

	Verify   Verification   `json:"verify,omitempty"` // "" is streamed
	Rotate   *bool          `json:"rotate,omitempty"` // rotate the source after success; nil is true
	Limits   Limits         `json:"limits,omitzero"`
	Schedule *Schedule      `json:"schedule,omitempty"` // when `install` should run it
	Notify   []Notification `json:"notify,omitempty"`   // who is told of a run
	Metrics  Metrics        `json:"metrics,omitempty"`  // where the numbers of a run go; "" is nowhere
}

// Logical says what a logical backup dumps.
type Logical struct {
	Databases []string `json:"databases,omitempty"` // empty is every database of the server
	Server    Server   `json:"server,omitzero"`
	// DatabaseURLRef refers to a libpq URI, instead of Server and Databases.
	DatabaseURLRef secretref.Ref `json:"database_url_ref,omitzero"`

	// Patterns as pg_dump reads them.
	IncludeSchemas []string `json:"include_schemas,omitempty"`
	ExcludeSchemas []string `json:"exclude_schemas,omitempty"`
	IncludeTables  []string `json:"include_tables,omitempty"`
	ExcludeTables  []string `json:"exclude_tables,omitempty"`

	Globals *bool `json:"globals,omitempty"` // roles and tablespaces beside the dump; nil is true
}

// Server says how to reach PostgreSQL. What is empty follows libpq: PGHOST,
// PGUSER and so on, then its defaults.
type Server struct {
	Host        string        `json:"host,omitempty"` // name, address, or directory of the socket
	Port        int           `json:"port,omitempty"`
	User        string        `json:"user,omitempty"`
	PasswordRef secretref.Ref `json:"password_ref,omitzero"`
	SSLMode     string        `json:"sslmode,omitempty"`
	SSLRootCert string        `json:"sslrootcert,omitempty"` // path of a file
	// SSLRootCertRef refers to the certificates themselves (PEM), for machines
	// whose disk nobody prepares; instead of SSLRootCert.
	SSLRootCertRef secretref.Ref `json:"sslrootcert_ref,omitzero"`
	SSLCert        string        `json:"sslcert,omitempty"` // path of a file
	SSLKey         string        `json:"sslkey,omitempty"`  // path of a file
	// MaintenanceDatabase is connected to for the list of databases and the
	// globals; "" is postgres.
	MaintenanceDatabase string `json:"maintenance_database,omitempty"`
}

// Limits bound a run. Zero values are the defaults of the runner.
type Limits struct {
	MaxDuration  duration.Duration `json:"max_duration,omitzero"`  // of a whole run; the default is no limit
	StallTimeout duration.Duration `json:"stall_timeout,omitzero"` // without progress; the default is 10m
	UploadRate   int64             `json:"upload_rate,omitempty"`  // bytes a second; 0 is no limit
}

// Schedule is when a host runs the job.
type Schedule struct {
	Cron     string `json:"cron"`
	Timezone string `json:"timezone,omitempty"` // IANA name, "" is UTC
}

// Parse reads and validates a job file. Errors say where and what is wrong, the
// nearest valid name for an unknown field, and never repeat a secret; one for a
// newer format wraps strictjson.ErrNewerFormat.
func Parse(data []byte) (Job, error) {
	if err := strictjson.CheckFormat("job", data, Format); err != nil {
		return Job{}, err
	}
	var j Job
	if err := strictjson.UnmarshalNamed("job", data, &j); err != nil {
		return Job{}, err
	}
	if err := j.Validate(); err != nil {
		return Job{}, err
	}
	return j, nil
}

// Verification gives Verify with its default.
func (j Job) Verification() Verification {
	if j.Verify == "" {
		return VerifyStreamed
	}
	return j.Verify
}

// RotateAfter reports whether the source is rotated after a successful backup.
func (j Job) RotateAfter() bool { return j.Rotate == nil || *j.Rotate }

// WithGlobals reports whether roles and tablespaces are taken beside the dump.
func (l Logical) WithGlobals() bool { return l.Globals == nil || *l.Globals }

// Canonical gives the one byte form of the job: fields in the order of the
// struct, nothing that is not set, no white space.
func (j Job) Canonical() []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(j); err != nil {
		// Strings, numbers, durations and references cannot fail to be written.
		panic(fmt.Sprintf("job %q cannot be written: %v", j.Name, err))
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// Encode gives the job file as it is stored: the canonical form, indented, with
// a newline at the end.
func (j Job) Encode() ([]byte, error) {
	if err := j.Validate(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, j.Canonical(), "", "  "); err != nil {
		return nil, fmt.Errorf("write job %q: %w", j.Name, err)
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// Digest gives the SHA-256 of the canonical form in hexadecimal.
func (j Job) Digest() string {
	sum := sha256.Sum256(j.Canonical())
	return hex.EncodeToString(sum[:])
}
