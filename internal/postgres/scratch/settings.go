package scratch

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ours are settings that isolate the server: nobody else may set them.
var ours = map[string]string{
	"listen_addresses":                "",
	"port":                            strconv.Itoa(port),
	"unix_socket_permissions":         "0700",
	"max_logical_replication_workers": "0", // no subscription is ever served
	"max_wal_senders":                 "0",
	"archive_mode":                    "off",
	"wal_level":                       "minimal",
	"primary_conninfo":                "",
}

// settings of a server that is filled once and thrown away: nothing survives it,
// so nothing need be safe on disk.
var settings = map[string]string{
	"fsync":                     "off",
	"synchronous_commit":        "off",
	"full_page_writes":          "off",
	"autovacuum":                "off", // it would compete with the restore
	"max_wal_size":              "4GB",
	"checkpoint_timeout":        "30min",
	"wal_compression":           "off",
	"max_connections":           "50",
	"max_locks_per_transaction": "1024", // twenty thousand tables in one transaction
	"timezone":                  "UTC",
	"log_timezone":              "UTC",
	"log_min_error_statement":   "panic", // statements hold rows
	"log_line_prefix":           "%m [%p] ",
	"cluster_name":              "pgbackup scratch",
	"shared_preload_libraries":  "",
}

// schedulers are libraries that run statements on their own, some of them on
// other servers.
var schedulers = []string{"pg_cron", "pg_partman_bgw", "pglogical", "bdr", "spock", "repmgr", "pg_net", "pgactive"}

func checkSettings(given map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		lower := strings.ToLower(name)
		if _, taken := ours[lower]; taken || lower == "unix_socket_directories" || lower == "dynamic_library_path" {
			return fmt.Errorf("settings of the scratch server: %s can not be set: what is restored there must not reach others", name)
		}
		if strings.IndexFunc(name, func(r rune) bool {
			return r != '_' && r != '.' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
		}) >= 0 || name == "" {
			return fmt.Errorf("settings of the scratch server: %q is not the name of a setting", name)
		}
		if !strings.HasSuffix(lower, "_preload_libraries") {
			continue
		}
		for library := range strings.SplitSeq(given[name], ",") {
			library = strings.Trim(strings.TrimSpace(library), `"'`)
			if base := strings.TrimSuffix(filepath.Base(library), ".so"); slices.Contains(schedulers, base) {
				return fmt.Errorf("settings of the scratch server: %s names %s, which acts on its own and could reach others", name, base)
			}
		}
	}
	return nil
}

// configure writes the settings behind those of initdb.
func (c *Cluster) configure(given map[string]string) error {
	name := filepath.Join(c.data(), "postgresql.conf")
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("write the settings: %w", err)
	}
	_, err = f.WriteString("\n" + written(c.all(given)))
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("write the settings: %w", err)
	}
	return nil
}

// all are the settings, those given last but before those of isolation.
func (c *Cluster) all(given map[string]string) map[string]string {
	all := maps.Clone(settings)
	maps.Copy(all, sized(memory()))
	if !roomyShm() {
		all["dynamic_shared_memory_type"] = "mmap"
	}
	for name, value := range given {
		all[strings.ToLower(name)] = value
	}
	maps.Copy(all, ours)
	all["unix_socket_directories"] = c.socketDir
	if c.programs.Major < 10 {
		delete(all, "max_logical_replication_workers")
	}
	if c.programs.Major < 12 {
		delete(all, "primary_conninfo") // it had a file of its own
	}
	return all
}

// written is how settings stand in a file.
func written(all map[string]string) string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&text, "%s = '%s'\n", name, strings.NewReplacer("'", "''", `\`, `\\`, "\n", " ").Replace(all[name]))
	}
	return text.String()
}

// sized are settings that follow from the memory there is, in bytes; 0 is
// unknown. Restores gain from memory for sorting indexes, and a runner in a
// container of 1 GiB must not be ended for it: a few index builds run at once.
func sized(memory int64) map[string]string {
	const mib = 1 << 20
	within := func(n, least, most int64) string {
		return strconv.FormatInt(max(least, min(n, most))/mib, 10) + "MB"
	}
	return map[string]string{
		"shared_buffers":       within(memory/8, 64*mib, 1024*mib),
		"maintenance_work_mem": within(memory/32, 32*mib, 512*mib),
		"work_mem":             within(memory/128, 8*mib, 64*mib),
	}
}
