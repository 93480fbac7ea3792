package job

import (
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
)

// Kind is what a job does.
type Kind string

// The kinds this program can do.
const (
	KindLogical     Kind = "logical"      // pg_dump of databases, with globals
	KindPhysical    Kind = "physical"     // a base backup of a whole server
	KindWAL         Kind = "wal"          // the log of a server, as it is written
	KindGlobals     Kind = "globals"      // roles and tablespaces of a server alone
	KindConfig      Kind = "config"       // postgresql.conf, pg_hba.conf, pg_ident.conf, or an RDS parameter group
	KindFiles       Kind = "files"        // directories, as a tar stream
	KindCommand     Kind = "command"      // the output of a command
	KindRDSSnapshot Kind = "rds_snapshot" // a manual snapshot of an RDS instance or Aurora cluster
	KindRotate      Kind = "rotate"       // apply the policy to the repository
	KindVerify      Kind = "verify"       // re-read stored points
	KindFreshness   Kind = "freshness"    // is there a new enough point of every source
	KindDrill       Kind = "drill"        // restore a point somewhere and look whether all of it is there
)

// kinds holds what is known of each kind, in the order messages list them.
var kinds = []struct {
	kind  Kind
	words []string // of the runner's command line
	point bool     // the job makes a recovery point
	tools bool     // it runs programs of PostgreSQL
}{
	{KindLogical, []string{"backup"}, true, true},
	{KindPhysical, []string{"backup"}, true, false},
	{KindWAL, []string{"wal", "receive"}, false, false},
	{KindGlobals, []string{"backup"}, true, true},
	{KindConfig, []string{"backup"}, true, false},
	{KindFiles, []string{"backup"}, true, false},
	{KindCommand, []string{"backup"}, true, false},
	{KindRDSSnapshot, []string{"backup"}, true, false},
	{KindRotate, []string{"rotate"}, false, false},
	{KindVerify, []string{"verify", "--all"}, false, false},
	{KindFreshness, []string{"status"}, false, false},
	{KindDrill, []string{"drill"}, false, true},
}

// Kinds lists the kinds a job file may have.
func Kinds() []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = string(k.kind)
	}
	return names
}

// Words is what a job of the kind is on the runner's command line, before
// "--job FILE".
func (k Kind) Words() []string {
	for _, known := range kinds {
		if known.kind == k {
			return append([]string(nil), known.words...)
		}
	}
	return nil
}

// MakesPoints tells whether a job of the kind makes recovery points, which the
// policy then rotates.
func (k Kind) MakesPoints() bool {
	for _, known := range kinds {
		if known.kind == k {
			return known.point
		}
	}
	return false
}

// NeedsTools tells whether a job of the kind runs programs of PostgreSQL, which
// have to be where it runs.
func (k Kind) NeedsTools() bool {
	for _, known := range kinds {
		if known.kind == k {
			return known.tools
		}
	}
	return false
}

// Globals says which server's roles and tablespaces are backed up.
type Globals struct {
	Server Server `json:"server,omitzero"`
	// DatabaseURLRef refers to a libpq URI, instead of Server.
	DatabaseURLRef secretref.Ref `json:"database_url_ref,omitzero"`
}

// Config says whose configuration is backed up. With nothing but a server its
// files are read through SQL, which needs the rights of pg_read_server_files;
// Directory reads them from a disk, and the RDS fields read the parameter group.
type Config struct {
	Server         Server        `json:"server,omitzero"`
	DatabaseURLRef secretref.Ref `json:"database_url_ref,omitzero"`
	Directory      string        `json:"directory,omitempty"`    // absolute path of the folder with postgresql.conf
	RDSInstance    string        `json:"rds_instance,omitempty"` // identifier
	RDSCluster     string        `json:"rds_cluster,omitempty"`  // identifier
	Region         string        `json:"region,omitempty"`       // of the RDS instance or cluster; "" is the runner's
}

// Files says which directories are backed up, as one tar stream.
type Files struct {
	Paths []string `json:"paths"` // absolute, of directories or files
	// Exclude holds patterns as path.Match reads them; one with a slash is held
	// against the path, one without against each name on the way to it.
	Exclude []string `json:"exclude,omitempty"`
	// OneFileSystem does not go into what is mounted below Paths.
	OneFileSystem bool `json:"one_file_system,omitempty"`
}

// Command is a program whose standard output is backed up. A program that ends
// with another status than 0 is a failed backup.
type Command struct {
	Argv      []string          `json:"argv"` // the program and its arguments; no shell is between
	TimeLimit duration.Duration `json:"time_limit,omitzero"`
	// FileName is what the output is called when it is restored, such as
	// "cluster.yaml"; "" is "output".
	FileName string `json:"file_name,omitempty"`
}

// DefaultTimeLimit of a command.
const DefaultTimeLimit = 10 * time.Minute

// RDSSnapshot says what a manual snapshot is taken of. Exactly one of Instance and
// Cluster is given.
type RDSSnapshot struct {
	Instance string `json:"instance,omitempty"` // identifier of a DB instance
	Cluster  string `json:"cluster,omitempty"`  // identifier of an Aurora or Multi-AZ cluster
	Region   string `json:"region,omitempty"`   // "" is the runner's
}

// Freshness says how old the newest good point of each source may be. Without
// MaxAge the recovery point objective of the policy counts.
type Freshness struct {
	MaxAge duration.Duration `json:"max_age,omitzero"`
}

// Metrics says where the numbers of a run go.
type Metrics string

const (
	// MetricsEMF writes them into the log in CloudWatch's embedded metric format,
	// for places whose logs reach CloudWatch.
	MetricsEMF Metrics = "emf"
	// MetricsCloudWatch calls PutMetricData.
	MetricsCloudWatch Metrics = "cloudwatch"
)

// Channel is a way to tell somebody of a run.
type Channel string

const (
	ChannelSlack   Channel = "slack"   // an incoming webhook of Slack
	ChannelWebhook Channel = "webhook" // a POST of a JSON document, signed where SecretRef is given
	ChannelPing    Channel = "ping"    // a dead man's switch: URL/start, URL, URL/fail
)

// Event is a moment of a run that somebody may be told of.
type Event string

const (
	OnStart   Event = "start"
	OnSuccess Event = "success"
	OnWarning Event = "warning" // done, with warnings
	OnFailure Event = "failure"
)

// Notification is somebody to tell. URLs count as secrets: who knows one can
// write there.
type Notification struct {
	Channel   Channel       `json:"channel"`
	URLRef    secretref.Ref `json:"url_ref"`
	SecretRef secretref.Ref `json:"secret_ref,omitzero"` // key of the webhook's HMAC-SHA256
	// On is when: by default warning and failure for slack, all but start for a
	// webhook, and all for a ping.
	On []Event `json:"on,omitempty"`
}

// Events gives On with its default.
func (n Notification) Events() []Event {
	switch {
	case len(n.On) > 0:
		return n.On
	case n.Channel == ChannelPing:
		return []Event{OnStart, OnSuccess, OnWarning, OnFailure}
	case n.Channel == ChannelWebhook:
		return []Event{OnSuccess, OnWarning, OnFailure}
	}
	return []Event{OnWarning, OnFailure}
}
