package deployment

import (
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
)

// Reach says which server of PostgreSQL is meant.
type Reach struct {
	DatabaseURLRef types.String `tfsdk:"database_url_ref"`
	Server         *Server      `tfsdk:"server"`
}

// Server says how to reach a server of PostgreSQL.
type Server struct {
	Host                types.String `tfsdk:"host"`
	Port                types.Int64  `tfsdk:"port"`
	User                types.String `tfsdk:"user"`
	PasswordRef         types.String `tfsdk:"password_ref"`
	SSLMode             types.String `tfsdk:"sslmode"`
	SSLRootCert         types.String `tfsdk:"sslrootcert"`
	SSLRootCertRef      types.String `tfsdk:"sslrootcert_ref"`
	SSLCert             types.String `tfsdk:"sslcert"`
	SSLKey              types.String `tfsdk:"sslkey"`
	MaintenanceDatabase types.String `tfsdk:"maintenance_database"`
}

// ToJob is what a job file says of the server; at is the attribute's path, for
// errors.
func (s *Server) ToJob(at string, errs *[]error) job.Server {
	if s == nil {
		return job.Server{}
	}
	return job.Server{
		Host: s.Host.ValueString(), Port: int(s.Port.ValueInt64()), User: s.User.ValueString(),
		PasswordRef: Reference(at+".password_ref", s.PasswordRef, errs),
		SSLMode:     s.SSLMode.ValueString(), SSLRootCert: s.SSLRootCert.ValueString(), SSLRootCertRef: Reference(at+".sslrootcert_ref", s.SSLRootCertRef, errs),
		SSLCert: s.SSLCert.ValueString(), SSLKey: s.SSLKey.ValueString(),
		MaintenanceDatabase: s.MaintenanceDatabase.ValueString(),
	}
}

// ReadReach is a Reach of what a job file says of a server.
func ReadReach(s job.Server, url types.String) Reach {
	m := Reach{DatabaseURLRef: url}
	if s == (job.Server{}) {
		return m
	}
	m.Server = &Server{
		Host: Optional(s.Host), User: Optional(s.User), PasswordRef: Optional(s.PasswordRef.String()), SSLMode: Optional(s.SSLMode),
		SSLRootCert: Optional(s.SSLRootCert), SSLRootCertRef: Optional(s.SSLRootCertRef.String()), SSLCert: Optional(s.SSLCert), SSLKey: Optional(s.SSLKey),
		MaintenanceDatabase: Optional(s.MaintenanceDatabase),
	}
	if s.Port > 0 {
		m.Server.Port = types.Int64Value(int64(s.Port))
	}
	return m
}
