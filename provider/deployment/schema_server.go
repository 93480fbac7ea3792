package deployment

import (
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// SecretRef is a reference to a secret, which the validator holds apart from the
// secret itself.
func SecretRef(description string) schema.StringAttribute {
	return schema.StringAttribute{Optional: true, MarkdownDescription: description, Validators: []validator.String{valid.Secret()}}
}

// ReachesServer has the two ways to say which server of PostgreSQL is meant;
// instead names what a URL stands for.
func ReachesServer(instead string) map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"database_url_ref": SecretRef("Where the runner finds a libpq URI, such as `secretsmanager:acme/db#url`, `env:DATABASE_URL` or `file:/path`, instead of " + instead + "."),
		"server":           ServerAttribute(),
	}
}

// ServerAttribute says how to reach a server of PostgreSQL.
func ServerAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: "How the runner reaches PostgreSQL. What is not given follows libpq: `PGHOST` and so on in the runner's environment, then its defaults.",
		Attributes: map[string]schema.Attribute{
			"host": Text("Name or address of the server, or the directory of its Unix socket, such as `db.example.org` or `/var/run/postgresql`. In a Kubernetes cluster the name of its Service, such as `db.shop.svc`."),
			"port": schema.Int64Attribute{
				Optional:            true,
				MarkdownDescription: "Port, 1 to 65535. Defaults to `5432`.",
				Validators:          []validator.Int64{int64validator.Between(1, 65535)},
			},
			"user":         Text("Role to connect as, such as `backup`. `pgbackup-runner doctor` prints the rights it needs."),
			"password_ref": SecretRef("Where the runner finds the password, never the password itself: `secretsmanager:NAME` or an ARN, `ssm:NAME`, `env:NAME` or `file:/path`, with `#field` behind it for a field of a JSON secret. Fargate and Lambda reach the first two alone. Defaults to what libpq does, such as `~/.pgpass`."),
			"sslmode": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "`disable`, `allow`, `prefer`, `require`, `verify-ca` or `verify-full`. Defaults to `prefer`, as in libpq.",
				Validators:          []validator.String{stringvalidator.OneOf("disable", "allow", "prefer", "require", "verify-ca", "verify-full")},
			},
			"sslrootcert":          Text("Absolute path, on the runner's machine, of the certificates that the server's is checked against; or `system`."),
			"sslrootcert_ref":      SecretRef("Where the runner finds these certificates (PEM) themselves, for machines whose disk nobody prepares, such as `ssm:rds-ca-bundle`. Instead of `sslrootcert`."),
			"sslcert":              Text("Absolute path of the client's certificate, such as `/etc/pgbackup/client.crt`. Given together with `sslkey`."),
			"sslkey":               Text("Absolute path of the key of the client's certificate, such as `/etc/pgbackup/client.key`."),
			"maintenance_database": Text("Database to connect to for the list of databases and the roles. Defaults to `postgres`."),
		},
	}
}
