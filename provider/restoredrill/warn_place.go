package restoredrill

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/bytesize"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/deployment"
)

// brought are the extensions of PostgreSQL itself that its packages and the stock
// image have, by the last major version that has them; 0 is all. Procedural languages
// but PL/pgSQL, and what transforms for them, are packages of their own.
//
// Source: PostgreSQL documentation, appendix "Additional Supplied Modules and
// Extensions" of 10 to 18.
var brought = map[string]int{
	"adminpack": 16, "old_snapshot": 16, "timetravel": 11, "chkpass": 10,
	"amcheck": 0, "autoinc": 0, "bloom": 0, "btree_gin": 0, "btree_gist": 0, "citext": 0, "cube": 0, "dblink": 0, "dict_int": 0, "dict_xsyn": 0,
	"earthdistance": 0, "file_fdw": 0, "fuzzystrmatch": 0, "hstore": 0, "insert_username": 0, "intagg": 0, "intarray": 0, "isn": 0, "lo": 0, "ltree": 0,
	"moddatetime": 0, "pageinspect": 0, "pg_buffercache": 0, "pg_freespacemap": 0, "pg_logicalinspect": 0, "pg_prewarm": 0, "pg_stat_statements": 0,
	"pg_surgery": 0, "pg_trgm": 0, "pg_visibility": 0, "pg_walinspect": 0, "pgcrypto": 0, "pgrowlocks": 0, "pgstattuple": 0, "plpgsql": 0,
	"postgres_fdw": 0, "refint": 0, "seg": 0, "sslinfo": 0, "tablefunc": 0, "tcn": 0, "tsm_system_rows": 0, "tsm_system_time": 0, "unaccent": 0,
	"uuid-ossp": 0, "xml2": 0,
}

// lacking names the extensions that the newest backups need and that the place they
// are restored to is not known to have.
func (f found) lacking(p deployment.Planned) []warning {
	declared := p.Job.Drill.Into.ScratchCluster.Extensions
	stock := p.Stock && p.Image == "" // nobody added anything to it
	needed := map[string][]string{}   // by extension: the sources that use it
	for _, m := range f.points {
		for _, name := range m.Server.Extensions {
			until, ours := brought[name]
			there := ours && (until == 0 || p.PostgresVersion <= until) || !stock && slices.Contains(declared, name)
			if !there {
				needed[name] = append(needed[name], m.Source)
			}
		}
	}
	if len(needed) == 0 {
		return nil
	}
	var names, lines []string
	for name := range needed {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		lines = append(lines, fmt.Sprintf("%s is used by %s.", name, some(needed[name])))
	}
	const list = "into.scratch_cluster.extensions"
	quoted := "[\"" + strings.Join(names, "\", \"") + "\"]"
	what := fmt.Sprintf("%s is not known to have %s, without which a drill cannot run", cmp.Or(p.Image, "the machine"), strings.Join(names, ", "))
	fix := fmt.Sprintf("When it has, say so: %s = %s.", list, quoted)
	if stock {
		what = fmt.Sprintf("the stock image of PostgreSQL %d has no %s, without which a drill cannot run", p.PostgresVersion, strings.Join(names, ", "))
		fix = fmt.Sprintf("Give run_on.%s.image one that has, and %s = %s.", p.Target, list, quoted)
	}
	return []warning{{what, strings.Join(append(lines, fix), " ")}}
}

// otherMajor tells of base backups that the place has not the programs for: no other
// major version can run the files of one.
func (f found) otherMajor(p deployment.Planned) (all []warning) {
	for _, m := range f.points {
		if m.Physical == nil || p.PostgresVersion == 0 || p.PostgresVersion == m.Server.Major {
			continue
		}
		all = append(all, warning{
			fmt.Sprintf("the base backups of %s are of PostgreSQL %d, and %d cannot run them", m.Source, m.Server.Major, p.PostgresVersion),
			fmt.Sprintf("Set run_on.%s.postgres_version = %d. After an upgrade of the server, change it when the first base backup of the new version is there.", p.Target, m.Server.Major),
		})
	}
	return all
}

const (
	gib = 1 << 30
	// taskGiB is the disk that every task on Fargate has.
	taskGiB = 20
)

// needed is how many bytes a restore takes. What a dump has as text becomes half as much
// again: indexes, and rows that are longer on disk. A base backup has all of it, and
// some WAL goes beside it.
func needed(m *repo.Manifest) int64 {
	if m.Physical != nil {
		return max(m.Physical.Full, m.Totals.Bytes) + gib
	}
	return max(m.Totals.Bytes, m.PlainSize("archive")) / 2 * 3
}

// room tells of databases that the disk of a task is too small for.
func (f found) room(p deployment.Planned) []warning {
	if p.Target != deploy.Fargate {
		return nil
	}
	given := cmp.Or(p.StorageGiB, int64(taskGiB)) * gib
	var largest *repo.Manifest
	for _, m := range f.points {
		if largest == nil || needed(m) > needed(largest) {
			largest = m
		}
	}
	if largest == nil || needed(largest) <= given {
		return nil
	}
	wanted := needed(largest)/gib + 1
	fix := fmt.Sprintf("Set run_on.fargate.storage = %d.", max(wanted, taskGiB+1))
	if wanted > 200 {
		fix = "A task has at most 200 GiB: use into.database, or run it on a host or in Kubernetes."
	}
	why := fmt.Sprintf("Its newest recovery point %s holds %s of data, which with indexes takes half as much again.", largest.ID, bytesize.Text(max(largest.Totals.Bytes, largest.PlainSize("archive"))))
	if largest.Physical != nil {
		why = fmt.Sprintf("Its newest base backup %s has that much, with WAL beside it.", largest.ID)
		if wanted > 200 {
			fix = "A task has at most 200 GiB: run it on a host or in Kubernetes."
		}
	}
	return []warning{{
		fmt.Sprintf("a restore of %s takes about %s, and the disk of the task has %s", largest.Source, bytesize.Text(needed(largest)), bytesize.Text(given)),
		why + " " + fix,
	}}
}

// some are a few of the names, and how many more there are.
func some(names []string) string {
	const few = 3
	if len(names) <= few {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
}
