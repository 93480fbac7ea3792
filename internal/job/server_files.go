package job

// File is a file that a job names and the field that names it.
type File struct {
	Field string // as in errors, such as logical.server.sslcert
	Path  string
}

// servers that the job connects to, by their field, with the reference that says
// the same.
func (j Job) servers() (list []struct {
	field  string
	server Server
	byURL  bool
}) {
	add := func(field string, s Server, byURL bool) {
		list = append(list, struct {
			field  string
			server Server
			byURL  bool
		}{field, s, byURL})
	}
	if j.Logical != nil {
		add("logical.server", j.Logical.Server, !j.Logical.DatabaseURLRef.IsZero())
	}
	if j.Physical != nil {
		add("physical.server", j.Physical.Server, !j.Physical.DatabaseURLRef.IsZero())
	}
	if j.WAL != nil {
		add("wal.server", j.WAL.Server, !j.WAL.DatabaseURLRef.IsZero())
	}
	if j.Globals != nil {
		add("globals.server", j.Globals.Server, !j.Globals.DatabaseURLRef.IsZero())
	}
	if c := j.Config; c != nil && c.Directory == "" && c.RDSInstance == "" && c.RDSCluster == "" {
		add("config.server", c.Server, !c.DatabaseURLRef.IsZero())
	}
	if j.Drill != nil && j.Drill.Into.Database != nil {
		d := j.Drill.Into.Database
		add("drill.into.database.server", d.Server, !d.DatabaseURLRef.IsZero())
	}
	return list
}

// ServerFiles lists the files that the connections of a job need and that are no
// references: certificates and keys by path. A place without a disk of its own
// cannot have them.
func (j Job) ServerFiles() []File {
	var list []File
	for _, s := range j.servers() {
		for _, f := range []File{{"sslrootcert", s.server.SSLRootCert}, {"sslcert", s.server.SSLCert}, {"sslkey", s.server.SSLKey}} {
			if f.Path != "" && f.Path != "system" { // libpq's word for the certificates of the system
				list = append(list, File{s.field + "." + f.Field, f.Path})
			}
		}
	}
	return list
}

// ServerHosts lists the hosts, addresses and folders of sockets that the job
// connects to; "" is libpq's default, the socket of this machine.
func (j Job) ServerHosts() []string {
	var hosts []string
	for _, s := range j.servers() {
		if !s.byURL {
			hosts = append(hosts, s.server.Host)
		}
	}
	return hosts
}
