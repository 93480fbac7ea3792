package restore

import (
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
)

// inDatabase is how an archive names the role of a setting for one database.
var inDatabase = regexp.MustCompile(`^ALTER ROLE ` + identifier + ` IN DATABASE `)

// rdsRoles are those of Amazon RDS that do not begin with rds_.
var rdsRoles = map[string]bool{"rdsadmin": true, "rdsrepladmin": true, "rdstopmgr": true, "rdswriteforwarduser": true, "rdsproxyadmin": true}

// ofRDS tells the roles that only Amazon RDS makes: nobody can create them.
func ofRDS(role string) bool { return rdsRoles[role] || strings.HasPrefix(role, "rds_") }

// roleRewriter gives the roles of a backup the names they have on the server.
type roleRewriter struct {
	names map[string]string // old -> new
	have  map[string]bool   // roles of the server

	met     map[string]bool // of names
	dropped map[string]bool // roles of RDS that the server lacks
}

// name is the server's name for a role; false when there can be none.
func (w *roleRewriter) name(role string) (string, bool) {
	if to, ok := w.names[role]; ok {
		w.met[role] = true
		return to, true
	}
	if ofRDS(role) && !w.have[role] {
		w.dropped[role] = true
		return "", false
	}
	return role, true
}

// statement rewrites one statement; false when it is about a role that can not be.
func (w *roleRewriter) statement(sql string) (string, bool) {
	for _, pattern := range []*regexp.Regexp{grantee, defaultsFor, actingAs, mappingFor, inDatabase} {
		m := pattern.FindStringSubmatchIndex(sql)
		if m == nil {
			continue
		}
		was := unquote(sql[m[2]:m[3]])
		switch was {
		case "public", "current_user", "session_user":
			continue
		}
		is, ok := w.name(was)
		if !ok {
			return "", false
		}
		if is != was {
			sql = sql[:m[2]] + pgx.Identifier{is}.Sanitize() + sql[m[3]:]
		}
	}
	if m := policyFor.FindStringSubmatchIndex(sql); m != nil {
		at := m[8:10] // the fourth group
		roles := identifiers(sql[at[0]:at[1]])
		for i, was := range roles {
			if is, ok := w.name(was); ok && is != was {
				roles[i] = is
			}
			if roles[i] != "public" && roles[i] != "current_user" && roles[i] != "session_user" {
				roles[i] = pgx.Identifier{roles[i]}.Sanitize()
			}
		}
		sql = sql[:at[0]] + strings.Join(roles, ", ") + sql[at[1]:]
	}
	return sql, true
}

// entry rewrites one entry in place.
func (w *roleRewriter) entry(e *pgarchive.Entry) {
	if e.Owner != "" {
		e.Owner, _ = w.name(e.Owner) // without an owner it belongs to who restores
	}
	switch e.Desc {
	case "POLICY", "USER MAPPING":
		e.Defn, _ = w.statement(e.Defn)
	case "ACL", "DEFAULT ACL", "DATABASE PROPERTIES":
		var kept []string
		changed := false
		all := statements(e.Defn)
		for _, s := range all {
			rewritten, ok := w.statement(s)
			changed = changed || !ok || rewritten != s
			if ok {
				kept = append(kept, rewritten+";\n")
			}
		}
		if !changed {
			return
		}
		// Acting as a role without doing anything is left when its grants are gone.
		kept = slices.DeleteFunc(kept, func(string) bool { return len(kept) == 2 && actingAs.MatchString(strings.TrimSuffix(kept[0], ";\n")) })
		e.Defn = strings.Join(kept, "")
	}
}

// rewrite turns the table of contents to this server: other names of roles, no
// roles of RDS where there are none, and in isolation no way to other servers.
func (r *run) rewrite(have map[string]bool) error {
	w := &roleRewriter{names: r.RoleMap, have: have, met: map[string]bool{}, dropped: map[string]bool{}}
	toc, err := r.toc.Rewrite(func(e *pgarchive.Entry) {
		w.entry(e)
		if r.Isolated && (e.Desc == "SERVER" || e.Desc == "FOREIGN DATA WRAPPER") {
			if defn := isolatedServer(e.Defn); defn != e.Defn {
				e.Defn = defn
				r.result.leave(describe(e)+": the address and password in its options", "nothing restored may reach another server")
			}
		}
	})
	if err != nil {
		return err
	}
	r.toc, r.family = toc, newFamily(toc)
	var unused []string
	for old := range r.RoleMap {
		if !w.met[old] {
			unused = append(unused, old)
		}
	}
	sort.Strings(unused)
	for _, old := range unused {
		r.warn("role %s was to become %s, and nothing in the backup belongs to it or gives it rights", old, r.RoleMap[old])
	}
	if len(w.dropped) > 0 {
		r.warn("roles of Amazon RDS that this server does not have are left out, with the rights given to them: %s", strings.Join(sorted(w.dropped), ", "))
	}
	return nil
}

func (r *run) warn(format string, args ...any) {
	r.result.Warnings = append(r.result.Warnings, fmt.Sprintf(format, args...))
}

func sorted(set map[string]bool) []string {
	names := make([]string, 0, len(set))
	for name := range set {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
