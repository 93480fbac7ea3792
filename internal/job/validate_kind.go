package job

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
)

// validateKind holds that a job carries what its kind needs, and nothing that
// its kind would silently ignore.
func (j Job) validateKind(report func(string, error)) {
	blocks := []struct {
		kind     Kind
		given    bool
		needs    string // what for; "" = may be left out
		validate func(func(string, error))
	}{
		{KindLogical, j.Logical != nil, "what to dump", func(at func(string, error)) { j.Logical.validate(at) }},
		{KindPhysical, j.Physical != nil, "which server", func(at func(string, error)) { j.Physical.validate(at) }},
		{KindWAL, j.WAL != nil, "whose log and how", func(at func(string, error)) { j.WAL.validate(at) }},
		{KindGlobals, j.Globals != nil, "which server", func(at func(string, error)) { j.Globals.validate(at) }},
		{KindConfig, j.Config != nil, "whose configuration", func(at func(string, error)) { j.Config.validate(at) }},
		{KindFiles, j.Files != nil, "which files", func(at func(string, error)) { j.Files.validate(at) }},
		{KindCommand, j.Command != nil, "what to run", func(at func(string, error)) { j.Command.validate(at) }},
		{KindRDSSnapshot, j.RDSSnapshot != nil, "of what", func(at func(string, error)) { j.RDSSnapshot.validate(at) }},
		{KindFreshness, j.Freshness != nil, "", func(at func(string, error)) { j.Freshness.validate(at) }},
		{KindDrill, j.Drill != nil, "what to restore and where", func(at func(string, error)) { j.Drill.validate(at) }},
	}
	for _, b := range blocks {
		name := string(b.kind)
		switch {
		case b.kind == j.Kind && b.given:
			b.validate(func(field string, err error) { report(name+"."+field, err) })
		case b.kind == j.Kind && b.needs != "":
			report(name, fmt.Errorf("is missing: a job of kind %q needs it to say %s", name, b.needs))
		case b.kind != j.Kind && b.given:
			report(name, fmt.Errorf("has no meaning in a job of kind %q: leave it out", j.Kind))
		}
	}
	if (j.Kind == KindRotate || j.Kind == KindFreshness || j.Kind == KindRDSSnapshot) && j.Policy == "" {
		report("policy", fmt.Errorf("is missing: a job of kind %q needs the policy to go by", j.Kind))
	}
	if j.Verify != "" && (!j.Kind.MakesPoints() || j.Kind == KindRDSSnapshot) {
		report("verify", fmt.Errorf("has no meaning in a job of kind %q: leave it out", j.Kind))
	}
	if j.Rotate != nil && !j.Kind.MakesPoints() {
		report("rotate", fmt.Errorf("has no meaning in a job of kind %q: leave it out", j.Kind))
	}
}

// validateTold checks who is told of a run, and where its numbers go.
func (j Job) validateTold(report func(string, error)) {
	if j.Metrics != "" {
		report("metrics", oneOf(string(j.Metrics), []string{string(MetricsEMF), string(MetricsCloudWatch)}))
	}
	for i, n := range j.Notify {
		at := func(field string, err error) { report(fmt.Sprintf("notify[%d].%s", i, field), err) }
		at("channel", oneOf(string(n.Channel), []string{string(ChannelSlack), string(ChannelWebhook), string(ChannelPing)}))
		if n.URLRef.IsZero() {
			at("url_ref", errors.New("is missing: give env:NAME, file:/path, secretsmanager:NAME or ssm:NAME"))
		}
		if !n.SecretRef.IsZero() && n.Channel != ChannelWebhook {
			at("secret_ref", fmt.Errorf("has no meaning for %q: only a webhook is signed", n.Channel))
		}
		for k, e := range n.On {
			at(fmt.Sprintf("on[%d]", k), oneOf(string(e), []string{string(OnStart), string(OnSuccess), string(OnWarning), string(OnFailure)}))
			if slices.Index(n.On, e) != k {
				at(fmt.Sprintf("on[%d]", k), fmt.Errorf("%q is given twice", e))
			}
		}
	}
	for _, r := range j.References() {
		if r.Ref.Scheme == secretref.KMS && r.Field != "key_ref" {
			report(r.Field, errors.New("a KMS key holds no text: only key_ref may name one; name a secret of secretsmanager:, ssm:, env: or file: there"))
		}
	}
}

func (l Logical) validate(at func(string, error)) {
	checkURLRef(at, l.DatabaseURLRef, len(l.Databases) > 0 || l.Server != (Server{}))
	for _, list := range []struct {
		field string
		items []string
	}{
		{"databases", l.Databases},
		{"include_schemas", l.IncludeSchemas}, {"exclude_schemas", l.ExcludeSchemas},
		{"include_tables", l.IncludeTables}, {"exclude_tables", l.ExcludeTables},
	} {
		for i, item := range list.items {
			place := fmt.Sprintf("%s[%d]", list.field, i)
			checkItem(at, place, list.items, i)
			if list.field == "databases" && len(item) > 63 {
				at(place, errors.New("is longer than the 63 bytes of a PostgreSQL name"))
			}
			if list.field == "databases" && (strings.Contains(item, "://") || strings.Contains(item, "=")) && !strings.ContainsAny(item, " ") {
				at(place, errors.New("must be the name of a database, not a connection string (use server, or database_url_ref)"))
			}
		}
	}
	l.Server.validate(func(field string, err error) { at("server."+field, err) })
}

// checkURLRef holds that a reference to a libpq URI stands alone.
func checkURLRef(at func(string, error), ref secretref.Ref, others bool) {
	if !ref.IsZero() && others {
		at("database_url_ref", errors.New("says server and database already: leave out databases and server, or the reference"))
	}
}

// checkItem checks one item of a list of texts.
func checkItem(at func(string, error), place string, items []string, i int) {
	at(place, checkText(items[i]))
	if items[i] == "" {
		at(place, errors.New("is empty"))
	}
	if slices.Index(items, items[i]) != i {
		at(place, fmt.Errorf("%q is given twice", items[i]))
	}
}

func (g Globals) validate(at func(string, error)) {
	checkURLRef(at, g.DatabaseURLRef, g.Server != (Server{}))
	g.Server.validate(func(field string, err error) { at("server."+field, err) })
}

func (c Config) validate(at func(string, error)) {
	ways := 0
	for _, given := range []bool{c.Server != (Server{}) || !c.DatabaseURLRef.IsZero(), c.Directory != "", c.RDSInstance != "", c.RDSCluster != ""} {
		if given {
			ways++
		}
	}
	if ways > 1 {
		at("server", errors.New("is one of several places given: give one of server (or database_url_ref), directory, rds_instance and rds_cluster"))
	}
	checkURLRef(at, c.DatabaseURLRef, c.Server != (Server{}))
	c.Server.validate(func(field string, err error) { at("server."+field, err) })
	if c.Directory != "" {
		at("directory", checkAbsolute(c.Directory))
	}
	checkRDS(at, "rds_instance", c.RDSInstance)
	checkRDS(at, "rds_cluster", c.RDSCluster)
	checkRegion(at, c.Region, c.RDSInstance != "" || c.RDSCluster != "")
}

func (f Files) validate(at func(string, error)) {
	if len(f.Paths) == 0 {
		at("paths", errors.New("is missing: give at least one absolute path"))
	}
	for i, p := range f.Paths {
		place := fmt.Sprintf("paths[%d]", i)
		checkItem(at, place, f.Paths, i)
		at(place, checkAbsolute(p))
		for _, other := range f.Paths {
			if other != p && strings.HasPrefix(p, strings.TrimSuffix(other, "/")+"/") {
				at(place, fmt.Errorf("%q is below %q and would be stored twice", p, other))
			}
		}
	}
	for i, pattern := range f.Exclude {
		place := fmt.Sprintf("exclude[%d]", i)
		checkItem(at, place, f.Exclude, i)
		if _, err := path.Match(pattern, "x"); err != nil {
			at(place, fmt.Errorf("%q is no pattern: %w; '*', '?' and [a-z] stand for characters of one name", pattern, err))
		}
	}
}

func (c Command) validate(at func(string, error)) {
	if len(c.Argv) == 0 || c.Argv[0] == "" {
		at("argv", errors.New("is missing: give the program and its arguments, such as [\"kubectl\", \"get\", \"configmap\", \"-o\", \"yaml\"]"))
	}
	for i, word := range c.Argv {
		if strings.ContainsRune(word, 0) || len(word) > 8192 {
			at(fmt.Sprintf("argv[%d]", i), errors.New("holds a zero byte or is longer than 8192 bytes"))
		}
	}
	if limit, exact := c.TimeLimit.Exact(); !exact || limit < 0 {
		at("time_limit", fmt.Errorf("%q goes by the calendar: give it in d, h, m or s", c.TimeLimit))
	}
	if c.FileName != "" && (strings.ContainsAny(c.FileName, "/\\") || checkText(c.FileName) != nil || c.FileName == "." || c.FileName == "..") {
		at("file_name", fmt.Errorf("%.100q: give the name of a file, without folders", c.FileName))
	}
}

func (r RDSSnapshot) validate(at func(string, error)) {
	if (r.Instance == "") == (r.Cluster == "") {
		at("instance", errors.New("or cluster: give exactly one of them"))
	}
	checkRDS(at, "instance", r.Instance)
	checkRDS(at, "cluster", r.Cluster)
	checkRegion(at, r.Region, true)
}

func (f Freshness) validate(at func(string, error)) {
	if _, exact := f.MaxAge.Exact(); !exact {
		at("max_age", fmt.Errorf("%q goes by the calendar: give it in d, h, m or s", f.MaxAge))
	}
}

func checkAbsolute(p string) error {
	switch {
	case !path.IsAbs(p):
		return fmt.Errorf("%.200q: give an absolute path, the runner may start in any directory", p)
	case path.Clean(p) != p:
		return fmt.Errorf("%.200q: write it as %q", p, path.Clean(p))
	}
	return checkText(p)
}

func checkRDS(at func(string, error), field, id string) {
	if id != "" && !rdsPattern.MatchString(id) {
		at(field, fmt.Errorf("%.100q: give its identifier: letters, digits and single hyphens, at most 63, beginning with a letter", id))
	}
}

func checkRegion(at func(string, error), region string, hasUse bool) {
	switch {
	case region == "":
	case !hasUse:
		at("region", errors.New("has no meaning without rds_instance or rds_cluster: leave it out"))
	case !regionPattern.MatchString(region):
		at("region", fmt.Errorf("%.100q: give a region such as us-east-1", region))
	}
}
