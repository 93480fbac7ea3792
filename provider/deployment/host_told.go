package deployment

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/shell"
)

// afterwards says what has to be told to systemd, which this provider never starts or
// stops anything of, and to a server that hands its WAL over.
func (hostTarget) afterwards(before, after *Model) (diags diag.Diagnostics) {
	was, is := unit(before), unit(after)
	told := func(m *Model, verb, command, what, file, does string) {
		diags.AddWarning(fmt.Sprintf("%s %s once systemd was told: %s", m.Called(), verb, command), fmt.Sprintf("The units were %s %s. Terraform does not %s them.", what, filepath.Dir(file), does))
	}
	stop, start := fmt.Sprintf("systemctl stop %s", filepath.Base(was)), fmt.Sprintf("systemctl daemon-reload && systemctl enable --now %s", filepath.Base(is))
	switch {
	case is == "" && was != "":
		told(before, "ends", stop+" && systemctl daemon-reload", "removed from", was, "stop")
	case was == "" && is != "":
		told(after, "starts", start, "written to", is, "start")
	case filepath.Base(was) != filepath.Base(is):
		told(after, "changes", stop+" && "+start, "written to", is, "start")
	case is != "" && (was != is || differs(before, after)):
		told(after, "changes", fmt.Sprintf("systemctl daemon-reload && systemctl restart %s", filepath.Base(is)), "written to", is, "start")
	}
	return append(append(diags, archiveTold(before, after)...), accessWarnings(after)...)
}

// unit that systemd starts the job by; "" for none.
func unit(m *Model) string {
	if m == nil {
		return ""
	}
	on, blocks := m.runOn(context.Background())
	if blocks.HasError() || on.Host == nil || !m.enabled() {
		return ""
	}
	return placesOf(m.Name.ValueString(), *on.Host, m.always()).starter()
}

// differs reports whether systemd, or what it keeps running, has to read anew. What is
// started by a timer reads its job file each time.
func differs(before, after *Model) bool {
	return !before.SystemdTimer.Equal(after.SystemdTimer) || !before.SystemdService.Equal(after.SystemdService) || after.always() && !before.JobJSON.Equal(after.JobJSON)
}

// archiveTold tells what the server's archive_command has to be, or no longer be.
func archiveTold(before, after *Model) (diags diag.Diagnostics) {
	text := func(m *Model) string {
		if m == nil {
			return ""
		}
		return m.archiveCommand.ValueString()
	}
	was, is := text(before), text(after)
	switch {
	case is != "" && is != was:
		diags.AddWarning(fmt.Sprintf("%s: nothing is archived before the server's archive_command is: %s", after.Called(), is),
			fmt.Sprintf("It is the attribute archive_command. Terraform changes nothing of the server. As a superuser of it, on its machine, this sets all that it needs: %s", settingsCommand(after)))
	case is == "" && was != "":
		diags.AddWarning(fmt.Sprintf("%s: the server still has the archive_command that was for it, and keeps all WAL once that fails", before.Called()),
			"Set archive_command to what archives from now on, or archive_mode to off, before the job file is missed: "+was)
	}
	return diags
}

// settingsCommand makes a server archive to the job.
func settingsCommand(m *Model) string {
	words := []string{"pgbackup-runner", "wal", "settings", "--job", filepath.Join(jobFolder, jobFile(m.Name.ValueString()))}
	if at := m.JobPath.ValueString(); at != "" {
		words[4] = at
	}
	if on, diags := m.runOn(context.Background()); !diags.HasError() && on.Host != nil && !on.Host.EnvironmentFile.IsNull() {
		words = append(words, "--environment-file", on.Host.EnvironmentFile.ValueString())
	}
	return shell.Join(append(words, "--apply")...)
}

// accessWarnings of a deployment that was made, for the host's own users.
func accessWarnings(m *Model) diag.Diagnostics {
	if m == nil {
		return nil
	}
	return m.warnAboutAccess(context.Background())
}
