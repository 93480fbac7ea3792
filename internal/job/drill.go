package job

import (
	"errors"
	"fmt"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
)

// Which point of each source a drill restores; of kind physical, to which moment of
// those that the archived WAL reaches.
const (
	DrillLatest = "latest" // the newest verified one
	DrillOldest = "oldest"
	DrillRandom = "random" // any verified one; the seed is in the report
)

// Where a drill reads from.
const (
	FromPrimary = "primary"
	FromReplica = "replica"
)

// Drill says what a restore drill restores, where, and what it then looks at.
type Drill struct {
	// Of are the sources that are drilled, one after the other; none is every
	// source with a point under the job's policy.
	Of     []string  `json:"of,omitempty"`
	Kind   string    `json:"kind,omitempty"`   // of the points: logical (the default), physical or rds_snapshot
	Source string    `json:"source,omitempty"` // latest (the default), oldest or random (the default of physical)
	Seed   int64     `json:"seed,omitempty"`   // of random; 0 is a new one every time
	From   string    `json:"from,omitempty"`   // primary (the default) or replica
	Into   DrillInto `json:"into"`
	// Database that checks and pg_amcheck are run in, of kind physical, which restores a
	// whole server; "" is postgres for checks, and all of them for pg_amcheck.
	Database string `json:"database,omitempty"`
	// Checks are statements of the user, by name.
	Checks  []DrillCheck `json:"checks,omitempty"`
	AmCheck bool         `json:"amcheck,omitempty"` // also look at tables and indexes with pg_amcheck
	// Archived also drills points that have to be brought back from an archive class
	// first, which costs money and hours; without it they are passed over.
	Archived bool `json:"archived,omitempty"`
	Jobs     int  `json:"jobs,omitempty"` // parallel loaders; 0 = the number of processors, at most 8
}

// DrillInto is where a drill restores to. Exactly one is given.
type DrillInto struct {
	ScratchCluster *ScratchCluster `json:"scratch_cluster,omitempty"`
	Database       *DrillDatabase  `json:"database,omitempty"`
	RDSInstance    *DrillInstance  `json:"rds_instance,omitempty"`
}

// ScratchCluster is a PostgreSQL server that the runner starts for the drill from
// the programs beside it, and removes again.
type ScratchCluster struct {
	Directory string `json:"directory,omitempty"` // below which it lies; "" is the system's for temporary files
	// Extensions that the image or machine has beyond what PostgreSQL itself brings,
	// for a warning at plan about others.
	Extensions []string          `json:"extensions,omitempty"`
	Settings   map[string]string `json:"settings,omitempty"` // of postgresql.conf
}

// DrillDatabase is a server on which a scratch database is made, and dropped again.
type DrillDatabase struct {
	Server         Server        `json:"server,omitzero"`
	DatabaseURLRef secretref.Ref `json:"database_url_ref,omitzero"` // instead of Server
}

// DrillInstance is a temporary RDS instance that a snapshot is restored to.
type DrillInstance struct {
	Class          string        `json:"class,omitempty"` // "" is that of the database the snapshot is of
	SubnetGroup    string        `json:"subnet_group,omitempty"`
	SecurityGroups []string      `json:"security_groups,omitempty"`
	Region         string        `json:"region,omitempty"`   // "" is the runner's
	Database       string        `json:"database,omitempty"` // that the checks are run in; "" is postgres
	User           string        `json:"user,omitempty"`     // "" is the master user
	PasswordRef    secretref.Ref `json:"password_ref,omitzero"`
	SSLMode        string        `json:"sslmode,omitempty"` // "" is require
}

// BackupTimeSetting tells a statement of a drill when the backup was taken, by
// current_setting('pgbackup.backup_time')::timestamptz: what was new then is old when
// a backup of last year is drilled.
const BackupTimeSetting = "pgbackup.backup_time"

// DrillCheck is a statement that is run in the restored database, in a transaction
// that only reads.
type DrillCheck struct {
	Name string `json:"name"`
	SQL  string `json:"sql"`
	// Expect is what the first column of the first row must be: a value ("true",
	// "42"), a comparison ("> 100", "<= 5", "!= 0"), or "non-empty" for at least one
	// row. "" is "true".
	Expect  string            `json:"expect,omitempty"`
	Timeout duration.Duration `json:"timeout,omitzero"` // "" is 5m
}

// ScratchDirectory is where a drill was told to put its own server; "" for none, and
// for the system's folder for temporary files.
func (j Job) ScratchDirectory() string {
	if j.Drill == nil || j.Drill.Into.ScratchCluster == nil {
		return ""
	}
	return j.Drill.Into.ScratchCluster.Directory
}

// HasScratchCluster tells whether the job is a drill that starts a server of its own.
func (j Job) HasScratchCluster() bool {
	return j.Drill != nil && j.Drill.Into.ScratchCluster != nil
}

// Chosen is which point or moment is taken, with its default: a base backup is
// proven by the moments between.
func (d Drill) Chosen() string {
	switch {
	case d.Source != "":
		return d.Source
	case d.Kind == string(KindPhysical):
		return DrillRandom
	}
	return DrillLatest
}

// DefaultCheckTimeout of a statement of a drill.
const DefaultCheckTimeout = 5 * time.Minute

func (d Drill) validate(at func(string, error)) {
	for i, s := range d.Of {
		checkItem(at, fmt.Sprintf("of[%d]", i), d.Of, i)
		if len(s) > 180 {
			at(fmt.Sprintf("of[%d]", i), errors.New("is longer than the 180 bytes of a source's name"))
		}
	}
	for _, f := range []struct {
		field, value string
		valid        []string
	}{
		{"kind", d.Kind, []string{string(KindLogical), string(KindPhysical), string(KindRDSSnapshot)}},
		{"source", d.Source, []string{DrillLatest, DrillOldest, DrillRandom}},
		{"from", d.From, []string{FromPrimary, FromReplica}},
	} {
		if f.value != "" {
			at(f.field, oneOf(f.value, f.valid))
		}
	}
	if d.Seed != 0 && d.Chosen() != DrillRandom {
		at("seed", fmt.Errorf("has a meaning for source %q only: leave it out", DrillRandom))
	}
	if d.Jobs < 0 || d.Jobs > 64 {
		at("jobs", fmt.Errorf("is %d: give a number from 1 to 64, or leave it out", d.Jobs))
	}
	at("database", checkText(d.Database))
	if d.Database != "" && d.Kind != string(KindPhysical) {
		at("database", fmt.Errorf("has a meaning for kind %q only, which restores a whole server: leave it out", KindPhysical))
	}
	d.Into.validate(func(field string, err error) { at("into"+field, err) }, d.Kind)
	names := make([]string, len(d.Checks))
	for i, c := range d.Checks {
		names[i] = c.Name
	}
	for i, c := range d.Checks {
		place := fmt.Sprintf("checks[%d].", i)
		checkItem(at, place+"name", names, i)
		if c.SQL == "" {
			at(place+"sql", errors.New("is missing: give a statement that returns one value, such as select count(*) from orders"))
		}
		if _, err := ParseExpectation(c.Expect); err != nil {
			at(place+"expect", err)
		}
		if _, exact := c.Timeout.Exact(); !exact {
			at(place+"timeout", fmt.Errorf("%q goes by the calendar: give it in d, h, m or s", c.Timeout))
		}
	}
}

func (d DrillInto) validate(at func(string, error), kind string) {
	ways := 0
	for _, given := range []bool{d.ScratchCluster != nil, d.Database != nil, d.RDSInstance != nil} {
		if given {
			ways++
		}
	}
	if ways != 1 {
		at("", errors.New("give exactly one of scratch_cluster, database and rds_instance"))
	}
	if (kind == string(KindRDSSnapshot)) != (d.RDSInstance != nil) && ways == 1 {
		at("", fmt.Errorf("snapshots of RDS (kind %q) are restored into rds_instance, and nothing else is", KindRDSSnapshot))
	}
	if kind == string(KindPhysical) && d.Database != nil {
		at(".database", fmt.Errorf("has no place for a whole server (kind %q): give scratch_cluster", KindPhysical))
	}
	if s := d.ScratchCluster; s != nil && s.Directory != "" {
		at(".scratch_cluster.directory", checkAbsolute(s.Directory))
	}
	if b := d.Database; b != nil {
		checkURLRef(func(field string, err error) { at(".database."+field, err) }, b.DatabaseURLRef, b.Server != (Server{}))
		b.Server.validate(func(field string, err error) { at(".database.server."+field, err) })
		if b.DatabaseURLRef.IsZero() && b.Server.Host == "" {
			at(".database.server.host", errors.New("is missing: a drill must never end up on the server that PGHOST happens to name"))
		}
	}
	if r := d.RDSInstance; r != nil {
		checkRegion(func(field string, err error) { at(".rds_instance."+field, err) }, r.Region, true)
		if r.SSLMode != "" {
			at(".rds_instance.sslmode", oneOf(r.SSLMode, sslModes))
		}
	}
}
