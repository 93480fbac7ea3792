package host

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/shell"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/schedule"
)

// maxCronLine is what the crons of Debian and Red Hat read of one line, less
// some room.
const maxCronLine = 990

// cron renders a file for /etc/cron.d: five fields, the user, the command.
func (s Spec) cron(when schedule.Schedule) (string, error) {
	fields, err := when.Crontab(s.Zone)
	if err != nil {
		return "", err
	}
	user := s.User
	if user == "" {
		user = "root"
	}
	command := shell.Join(s.command()...)
	if s.EnvironmentFile != "" {
		file := shell.Quote(s.EnvironmentFile)
		command = fmt.Sprintf("if [ -r %s ]; then set -a; . %s; set +a; fi; exec %s", file, file, command)
	}
	// cron makes a line end of every '%' that has no backslash before it.
	line := fields + " " + user + " " + strings.ReplaceAll(command, "%", `\%`)
	if len(line) > maxCronLine {
		return "", fmt.Errorf("the line for cron would have %d characters, cron reads at most %d: use shorter paths, or a systemd timer", len(line), maxCronLine)
	}
	settings := "SHELL=/bin/sh\n"
	if s.Job.Kind == job.KindCommand {
		// cron's own path has neither /usr/local/bin nor the programs of snap.
		settings += "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin\n"
	}
	return s.header() + settings + line + "\n", nil
}

// LocalZone is the time zone this host's cron runs in, by its IANA name. Where
// the name can not be found out the error says so: a wrong guess would run
// backups at a wrong hour.
func LocalZone() (*time.Location, error) {
	name := time.Local.String()
	if name == "Local" {
		target, err := os.Readlink("/etc/localtime")
		switch {
		case os.IsNotExist(err):
			return time.UTC, nil // what libc does without the file
		case err == nil:
			if _, after, ok := strings.Cut(filepath.ToSlash(target), "zoneinfo/"); ok {
				name = strings.TrimPrefix(strings.TrimPrefix(after, "posix/"), "right/")
			}
		}
	}
	if name == "Local" || name == "" {
		text, err := os.ReadFile("/etc/timezone")
		if err != nil {
			return nil, fmt.Errorf("find the name of this host's time zone: /etc/localtime is not a link into the zone database: %w", err)
		}
		name = strings.TrimSpace(string(text))
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("find the name of this host's time zone: %w", err)
	}
	return loc, nil
}
