package restore

import (
	"regexp"
	"slices"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
)

// schedulers are extensions that run things by themselves, or talk to other
// servers, as soon as they and their tables are there.
var schedulers = map[string]bool{"pg_cron": true, "pgagent": true, "pg_timetable": true, "pglogical": true, "pgl_ddl_deploy": true, "bdr": true, "pg_net": true, "pgmq_bgworker": true, "pg_background": true}

// reachers are extensions whose functions and tables are about other servers.
var reachers = map[string]bool{"dblink": true, "postgres_fdw": true, "file_fdw": true, "mysql_fdw": true, "oracle_fdw": true, "tds_fdw": true, "odbc_fdw": true, "mongo_fdw": true, "redis_fdw": true, "multicorn": true, "plproxy": true, "http": true, "pg_net": true, "aws_s3": true, "aws_lambda": true, "aws_commons": true}

// isolate leaves out what could reach others from a restored database, or be
// reached: a drill must not touch production. Options of foreign servers keep
// their names and lose their values.
func (r *run) isolate() {
	reaching := r.reaching()
	for i := range r.toc.Entries {
		e := &r.toc.Entries[i]
		switch {
		case r.leftOut[e.DumpID]: // with what it belongs to
		case e.Desc == "SUBSCRIPTION":
			r.leaveOut(e, "it would fetch changes from another server")
		case e.Desc == "USER MAPPING":
			r.leaveOut(e, "it holds how to log in to another server")
		case e.Desc == "EVENT TRIGGER":
			r.leaveOut(e, "it would run code while the backup is being restored")
		case e.Desc == "EXTENSION" && schedulers[e.Tag]:
			r.leaveOut(e, "it would run what is scheduled, or talk to other servers")
			r.leaveOutDependents()
		case e.Desc == "MATERIALIZED VIEW DATA" && reaching[r.family.host[e.DumpID]]:
			r.leaveOut(e, "refreshing it would read from another server or run an untrusted function")
		case e.Desc == "INDEX" && reaching[e.DumpID]:
			r.leaveOut(e, "making it would run a function that reads from another server or is untrusted")
			r.leaveOutDependents()
		}
	}
}

// leaveOutDependents leaves out all that can not be made without what is left out.
func (r *run) leaveOutDependents() {
	for again := true; again; {
		again = false
		for i := range r.toc.Entries {
			e := &r.toc.Entries[i]
			if r.leftOut[e.DumpID] {
				continue
			}
			for _, id := range e.Deps {
				if d := r.family.byID[id]; d != nil && r.leftOut[id] && r.family.needed(e, id) != nil {
					r.leaveOut(e, "it needs "+describe(d)+", which is left out")
					again = true
					break
				}
			}
		}
	}
}

var (
	untrusted   = regexp.MustCompile(`(?i)\bLANGUAGE "?(?:c|internal|pl(?:perl|python[23]?|tcl|sh|r)u|plsh|plr|pl/?java|pljavau)"?\b`)
	reachesText = regexp.MustCompile(`(?i)\bdblink|\bpostgres_fdw|\bhttp_(?:get|post)\b|\bnet\.http_|\baws_(?:s3|lambda)\b|\bCOPY\b[^;]*\bPROGRAM\b`)
)

// reaching are the entries that read from other servers when they are used,
// directly or through what they use.
func (r *run) reaching() map[int32]bool {
	set := map[int32]bool{}
	for i := range r.toc.Entries {
		switch e := &r.toc.Entries[i]; e.Desc {
		case "FOREIGN TABLE", "SERVER":
			set[e.DumpID] = true
		case "EXTENSION":
			set[e.DumpID] = reachers[e.Tag] || schedulers[e.Tag]
		case "FUNCTION", "PROCEDURE":
			set[e.DumpID] = untrusted.MatchString(e.Defn) || reachesText.MatchString(e.Defn)
		}
	}
	// A partitioned table reads its foreign partitions.
	for part, parent := range r.family.parentOf {
		if set[part] {
			set[parent] = true
		}
	}
	for again := true; again; {
		again = false
		for i := range r.toc.Entries {
			e := &r.toc.Entries[i]
			if set[e.DumpID] {
				continue
			}
			uses := slices.ContainsFunc(e.Deps, func(id int32) bool { return set[id] }) && e.Desc != "SCHEMA"
			if uses || names(e, r.toc, set) {
				set[e.DumpID], again = true, true
				if parent, ok := r.family.parentOf[e.DumpID]; ok {
					set[parent] = true
				}
			}
		}
	}
	return set
}

// names tells whether the body of a function has the name of something in a set: of
// what is in a body PostgreSQL keeps no dependencies.
func names(function *pgarchive.Entry, toc *pgarchive.TOC, set map[int32]bool) bool {
	if function.Desc != "FUNCTION" && function.Desc != "PROCEDURE" {
		return false
	}
	for i := range toc.Entries {
		e := &toc.Entries[i]
		if !set[e.DumpID] || e.DumpID == function.DumpID {
			continue
		}
		switch e.Desc {
		case "FUNCTION", "PROCEDURE", "FOREIGN TABLE", "VIEW", "MATERIALIZED VIEW", "TABLE":
			name, _, _ := strings.Cut(e.Tag, "(")
			if word(function.Defn, name) {
				return true
			}
		}
	}
	return false
}

// word tells whether a text has a name that is no part of a longer one, however it is
// written: unquoted names are folded.
func word(text, name string) bool {
	text, name = strings.ToLower(text), strings.ToLower(name)
	part := func(c byte) bool { return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 0x80 }
	for at := 0; name != ""; {
		i := strings.Index(text[at:], name)
		if i < 0 {
			return false
		}
		from, to := at+i, at+i+len(name)
		if (from == 0 || !part(text[from-1])) && (to == len(text) || !part(text[to])) {
			return true
		}
		at = from + 1
	}
	return false
}

// option is one of OPTIONS (…) as pg_dump writes it.
var option = regexp.MustCompile(`((?:^|[(,])\s*` + identifier + ` )('(?:[^']|'')*')`)

// blank are the values that options of foreign servers get: the name that never
// resolves is of RFC 2606.
var blank = map[string]string{
	"host": "isolated.invalid", "servername": "isolated.invalid", "server": "isolated.invalid", "dbserver": "//isolated.invalid/none",
	"address": "isolated.invalid", "hostname": "isolated.invalid", "url": "http://isolated.invalid/", "uri": "http://isolated.invalid/", "endpoint": "isolated.invalid",
	"hostaddr": "", "service": "", "password": "", "passwd": "", "passfile": "", "sslkey": "", "sslcert": "", "secret": "", "token": "", "connstr": "", "dsn": "", "odbc_connstring": "",
}

// isolatedServer is the statement that makes a foreign server, pointed nowhere.
func isolatedServer(defn string) string {
	hasHost := false
	defn = option.ReplaceAllStringFunc(defn, func(s string) string {
		m := option.FindStringSubmatch(s)
		name := strings.ToLower(unquote(m[2]))
		if name == "host" {
			hasHost = true
		}
		if value, ok := blank[name]; ok {
			return m[1] + "'" + value + "'"
		}
		return s
	})
	// Without a host libpq takes a socket of this machine, where production may listen.
	if !hasHost && libpqServer.MatchString(defn) {
		if strings.Contains(defn, " OPTIONS (") {
			return strings.Replace(defn, " OPTIONS (", " OPTIONS (\n    host 'isolated.invalid',", 1)
		}
		return strings.TrimSuffix(strings.TrimSpace(defn), ";") + " OPTIONS (\n    host 'isolated.invalid'\n);\n"
	}
	return defn
}

var libpqServer = regexp.MustCompile(` FOREIGN DATA WRAPPER "?(?:postgres_fdw|dblink_fdw)"?\b`)
