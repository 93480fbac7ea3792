package sqlscript

import (
	"regexp"
	"strings"
)

// Subject is what a statement is about, as far as a restore asks.
type Subject int

// Subjects of statements.
const (
	Contents Subject = iota // everything else: what a database consists of
	Settings                // SET, RESET, SELECT set_config: of the session
	Owner                   // who owns something, or acts
	Rights                  // GRANT and REVOKE on something, default privileges
	Cluster                 // databases, roles, tablespaces: not of one database
)

// Subject tells what the statement is about.
func (i Item) Subject() Subject {
	t := i.Tokens
	switch {
	case ofCluster(t):
		return Cluster
	case t.Begin("SET", "SESSION", "AUTHORIZATION"), t.Begin("RESET", "SESSION", "AUTHORIZATION"),
		t.Begin("ALTER") && t.Find("OWNER", "TO") > 0:
		return Owner
	case t.Begin("GRANT"), t.Begin("REVOKE"), t.Begin("ALTER", "DEFAULT", "PRIVILEGES"):
		return Rights
	case t.Begin("SET"), t.Begin("RESET"), t.Begin("SELECT", "pg_catalog", "set_config"), t.Begin("SELECT", "set_config"):
		return Settings
	}
	return Contents
}

// clusterObjects are kinds of objects that belong to the whole server.
var clusterObjects = []string{"DATABASE", "ROLE", "USER", "GROUP", "TABLESPACE"}

func ofCluster(t Tokens) bool {
	for _, kind := range clusterObjects {
		switch {
		case kind == "USER" && (len(t) > 2 && t[2].is("MAPPING")):
			// CREATE USER MAPPING is of one database.
		case t.Begin("CREATE", kind), t.Begin("ALTER", kind), t.Begin("DROP", kind),
			t.Begin("COMMENT", "ON", kind), t.Begin("SECURITY", "LABEL") && t.Find("ON", kind) > 0:
			return true
		}
	}
	switch {
	case t.Begin("ALTER", "SYSTEM"):
		return true
	case t.Begin("GRANT"), t.Begin("REVOKE"):
		// Without ON it is about who is a member of what.
		on := t.Find("ON")
		return on < 0 || t.at(on, "ON", "DATABASE") || t.at(on, "ON", "TABLESPACE") || t.at(on, "ON", "PARAMETER")
	}
	return false
}

// CopiesIn tells whether rows follow the statement.
func (i Item) CopiesIn() bool {
	return i.Tokens.Begin("COPY") && i.Tokens.Find("FROM", "STDIN") > 0
}

// HidesRows tells of a statement that is several for the server and could be a
// COPY, after which the server would wait for rows for ever.
func (i Item) HidesRows() bool {
	if !i.Inner {
		return false
	}
	for _, t := range i.Tokens {
		if t.is("STDIN") {
			return true
		}
	}
	return len(i.Tokens) >= keptTokens && strings.Contains(strings.ToUpper(i.Text), "STDIN")
}

// Roles are the roles that a statement names as owner, as who has or had a right,
// or as who acts; never PUBLIC or the words for oneself.
func (i Item) Roles() []string {
	t := i.Tokens
	var names []string
	add := func(at int) {
		if at <= 0 || at >= len(t) {
			return
		}
		switch name := t[at].Name(); {
		case t[at].Kind == Literal:
			names = append(names, t[at].Text)
		case t[at].Kind == Word && (name == "public" || name == "current_user" || name == "session_user" || name == "current_role" || name == "default"):
		case name != "":
			names = append(names, name)
		}
	}
	if at := t.Find("OWNER", "TO"); t.Begin("ALTER") && at > 0 {
		add(at + 2)
	}
	switch {
	case t.Begin("SET", "SESSION", "AUTHORIZATION"):
		add(3)
	case t.Begin("CREATE", "SCHEMA"):
		if at := t.Find("AUTHORIZATION"); at > 0 {
			add(at + 1)
		}
	case t.Begin("CREATE", "POLICY"):
		for at := t.Find("TO") + 1; at > 0 && at < len(t) && t[at].Depth == 0 && !t[at].is("USING") && !t[at].is("WITH"); at++ {
			add(at)
		}
	case t.Begin("CREATE", "USER", "MAPPING"):
		if at := t.Find("FOR"); at > 0 {
			add(at + 1)
		}
	case t.Begin("ALTER", "DEFAULT", "PRIVILEGES"), t.Begin("GRANT"), t.Begin("REVOKE"):
		if at := t.Find("FOR", "ROLE"); at > 0 {
			add(at + 2)
		}
		if at := max(t.last("TO"), t.last("FROM")); at > 0 {
			add(at + 1)
		}
	}
	return names
}

var reusing = regexp.MustCompile(`(?s)^-reuse-previous=on\s+"(.*)"$`)

// Connects is the database that a \connect names.
func (i Item) Connects() (database string, ok bool) {
	verb, rest, _ := strings.Cut(i.Text, " ")
	if i.Kind != Command || verb != `\connect` && verb != `\c` {
		return "", false
	}
	rest = strings.TrimSpace(rest)
	if m := reusing.FindStringSubmatch(rest); m != nil {
		return conninfoName(undouble(m[1], '"'))
	}
	name, after := argument(rest)
	return name, name != "" && name != "-" && after == "" && !strings.Contains(name, "=") && !strings.Contains(name, "://")
}

// conninfoName is the database of dbname='…'.
func conninfoName(text string) (string, bool) {
	rest, ok := strings.CutPrefix(text, "dbname=")
	if !ok {
		return "", false
	}
	if len(rest) < 2 || rest[0] != '\'' || rest[len(rest)-1] != '\'' {
		return rest, rest != "" && !strings.ContainsAny(rest, " '\\")
	}
	var b strings.Builder
	for i, inner := 0, rest[1:len(rest)-1]; i < len(inner); i++ {
		switch {
		case inner[i] == '\\' && i+1 < len(inner):
			i++
		case inner[i] == '\'' || inner[i] == '\\':
			return "", false
		}
		b.WriteByte(inner[i])
	}
	return b.String(), b.Len() > 0
}

// argument is the first argument of a command, and what follows it.
func argument(s string) (name, rest string) {
	if s == "" || s[0] != '"' && s[0] != '\'' {
		name, rest, _ = strings.Cut(s, " ")
		return name, strings.TrimSpace(rest)
	}
	for i := 1; i < len(s); i++ {
		if s[i] != s[0] {
			continue
		}
		if i+1 < len(s) && s[i+1] == s[0] {
			i++
			continue
		}
		return undouble(s[1:i], s[0]), strings.TrimSpace(s[i+1:])
	}
	return "", s
}

// Ignorable tells of the commands that pg_dump writes for psql's sake: to keep it
// from obeying what data could smuggle in, which nothing here does, and to have it
// pass on the name of a database as it is.
func (i Item) Ignorable() bool {
	verb, _, _ := strings.Cut(i.Text, " ")
	return i.Kind == Command && (verb == `\restrict` || verb == `\unrestrict` || i.Text == `\encoding SQL_ASCII`)
}
