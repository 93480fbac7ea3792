package job

import (
	"fmt"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
)

// Reference is a reference to a secret and the field of the job that holds it.
type Reference struct {
	Field string // as in errors, such as logical.server.password_ref
	Ref   secretref.Ref
}

// References lists every reference to a secret that a run of the job reads, in
// the order of the file.
func (j Job) References() []Reference {
	var list []Reference
	add := func(field string, ref secretref.Ref) {
		if !ref.IsZero() {
			list = append(list, Reference{field, ref})
		}
	}
	server := func(field string, s Server, url secretref.Ref) {
		add(field+".database_url_ref", url)
		add(field+".server.password_ref", s.PasswordRef)
		add(field+".server.sslrootcert_ref", s.SSLRootCertRef)
	}
	add("key_ref", j.KeyRef)
	if j.Logical != nil {
		server("logical", j.Logical.Server, j.Logical.DatabaseURLRef)
	}
	if j.Physical != nil {
		server("physical", j.Physical.Server, j.Physical.DatabaseURLRef)
	}
	if j.WAL != nil {
		server("wal", j.WAL.Server, j.WAL.DatabaseURLRef)
	}
	if j.Globals != nil {
		server("globals", j.Globals.Server, j.Globals.DatabaseURLRef)
	}
	if j.Config != nil {
		server("config", j.Config.Server, j.Config.DatabaseURLRef)
	}
	if j.Drill != nil {
		if d := j.Drill.Into.Database; d != nil {
			server("drill.into.database", d.Server, d.DatabaseURLRef)
		}
		if d := j.Drill.Into.RDSInstance; d != nil {
			add("drill.into.rds_instance.password_ref", d.PasswordRef)
		}
	}
	for i, n := range j.Notify {
		add(fmt.Sprintf("notify[%d].url_ref", i), n.URLRef)
		add(fmt.Sprintf("notify[%d].secret_ref", i), n.SecretRef)
	}
	return list
}
