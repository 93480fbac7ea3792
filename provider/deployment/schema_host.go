package deployment

import (
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// directory is the absolute path of a folder or file of the host.
func directory(example, description string) schema.StringAttribute {
	return schema.StringAttribute{Optional: true, MarkdownDescription: description, Validators: []validator.String{valid.AbsolutePath(example)}}
}

func hostAttribute() schema.SingleNestedAttribute {
	systemd := directory("/etc/systemd/system", "Folder to write the systemd service and timer to, such as `/etc/systemd/system`. Made, with mode 0755, when it is not there. They start with `systemctl daemon-reload` and `systemctl enable --now pgbackup-<name>.timer`; what runs all the time has no timer: there it is `pgbackup-<name>.service`. Defaults to none: the texts are attributes only. Not together with `cron_directory`, or the job would run twice.")
	systemd.Validators = append(systemd.Validators, stringvalidator.ConflictsWith(path.MatchRelative().AtParent().AtName("cron_directory")))
	cron := directory("/etc/cron.d", "Folder to write a file for cron to, such as `/etc/cron.d`. Made, with mode 0755, when it is not there. It counts at once. Not for what runs all the time. Defaults to none.")
	for _, a := range []*schema.StringAttribute{&systemd, &cron} {
		a.Validators = append(a.Validators, stringvalidator.AlsoRequires(path.MatchRelative().AtParent().AtName("directory")))
	}
	return schema.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: "On a machine, by systemd or cron. With `directory` it is the one that runs Terraform, and the files are written there. Without it nothing is written here: the attribute `cloud_init` is user data that brings the runner and the job to another machine at its first boot.",
		Attributes: map[string]schema.Attribute{
			"directory":         directory("/etc/pgbackup", "Folder of the host that runs Terraform for the job file, such as `/etc/pgbackup`. Made, with mode 0755, when it is not there. With another folder the new files are written before the old ones are removed. Left out for another machine, which needs `runner` and `policy` in a repository in S3."),
			"systemd_directory": systemd,
			"cron_directory":    cron,
			"user": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "User of the host who runs the job, such as `postgres`. Defaults to root. A repository in a directory, with everything in it, must belong to this user, and the key file must be readable for it; a warning of the plan says what is not, and `sudo -u postgres pgbackup-runner doctor --job FILE` looks at the same.",
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"environment_file": directory("/etc/pgbackup/passwords", "File of the host with `NAME=value` lines for the runner's environment, where `env:` references point to; readable by the job's user alone. It may be missing when this is applied."),
			"runner_path":      directory("/usr/local/bin/pgbackup-runner", "Path of the program `pgbackup-runner` on the host. Defaults to that of `runner`, and to `/usr/local/bin/pgbackup-runner` on another machine."),
			"randomized_delay": Length("Start up to this much later, by chance, so that many hosts do not start at once; such as `15m`. systemd only. Defaults to none."),
		},
	}
}
