package deployment

import (
	"cmp"
	"path/filepath"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/host"
)

// places are the paths of a deployment's files on a host; "" is a file that is
// not written.
type places struct{ job, service, timer, cron string }

func (p places) all() []string {
	var paths []string
	for _, f := range []string{p.job, p.service, p.timer, p.cron} {
		if f != "" {
			paths = append(paths, f)
		}
	}
	return paths
}

// attribute of run_on.host that says where the file at a path is.
func (p places) attribute(file string) string {
	switch file {
	case p.service, p.timer:
		return "systemd_directory"
	case p.cron:
		return "cron_directory"
	}
	return "directory"
}

// jobFile is the name of a job's file, without the folder.
func jobFile(name string) string { return name + ".job.json" }

// placesOf a job; always says that it runs all the time, which no timer starts.
func placesOf(name string, on hostModel, always bool) places {
	if on.Directory.IsNull() {
		return places{}
	}
	p := places{job: filepath.Join(on.Directory.ValueString(), jobFile(name))}
	if d := on.SystemdDirectory.ValueString(); d != "" {
		p.service = filepath.Join(d, host.UnitName(name)+".service")
		if !always {
			p.timer = filepath.Join(d, host.UnitName(name)+".timer")
		}
	}
	if d := on.CronDirectory.ValueString(); d != "" {
		p.cron = filepath.Join(d, host.UnitName(name))
	}
	return p
}

// stopped are the places of a job that nothing starts.
func (p places) stopped(always bool) places {
	p.timer, p.cron = "", ""
	if always {
		p.service = ""
	}
	return p
}

// starter is the unit that systemd is told to enable; "" when there is none.
func (p places) starter() string { return cmp.Or(p.timer, p.service) }

// files of the deployment, the job first: nothing that starts it may be there
// before it.
func (d hostDeployment) files() []host.File {
	const mode = 0o644
	var files []host.File
	for _, f := range []struct{ path, content string }{
		{d.job, d.rendered.Job}, {d.service, d.rendered.Service}, {d.timer, d.rendered.Timer}, {d.cron, d.rendered.Cron},
	} {
		if f.path != "" {
			files = append(files, host.File{Path: f.path, Content: f.content, Mode: mode})
		}
	}
	return files
}
