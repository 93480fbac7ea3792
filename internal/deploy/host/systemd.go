package host

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/schedule"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
)

// runnerHash is the variable of deploy.RunnerHash; this package is a part of the
// runner itself and must not know the packages that carry it.
const runnerHash = "PGBACKUP_RUNNER_SHA256"

// header tells who comes upon the file what becomes of changes in it.
func (s Spec) header() string {
	if s.ByRunner {
		return "# Written by pgbackup-runner install, which overwrites changes made here when it is run again.\n"
	}
	return "# Written by pgbackup. Changes made by hand are drift and are undone by the next apply.\n"
}

// service renders the unit that does the job once; of a receiver, the one that keeps it
// running.
func (s Spec) service() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	b.WriteString(s.header())
	line("[Unit]")
	line("Description=%s", specifiers(s.describe()))
	line("Wants=network-online.target")
	line("After=network-online.target postgresql.service")
	if paths := s.allWritePaths(); len(paths) > 0 {
		line("RequiresMountsFor=%s", words(paths, ""))
	}
	if s.Job.Receives() {
		line("# The server keeps its log for as long as nobody receives it: never give up.")
		line("StartLimitIntervalSec=0")
	}
	line("")
	line("[Service]")
	if s.Job.Receives() {
		line("Type=exec")
		line("Restart=always")
		line("RestartSec=5s")
	} else {
		line("Type=oneshot")
	}
	if s.RunnerSHA256 != "" {
		line("# SHA-256 of the runner: %s", s.RunnerSHA256)
		if !s.ByRunner {
			// The runner refuses to be another. Who installed it by hand may replace it
			// by hand.
			line("Environment=%s=%s", runnerHash, s.RunnerSHA256)
		}
	}
	if s.Job.Kind == job.KindCommand && (s.User == "" || s.User == "root") {
		line("# systemd gives root no home, and programs such as kubectl look for their settings there.")
		line("Environment=HOME=/root")
	}
	line("ExecStart=%s", commandLine(s.command()))
	if s.User != "" {
		line("User=%s", s.User)
	}
	if s.EnvironmentFile != "" {
		line("EnvironmentFile=-%s", specifiers(s.EnvironmentFile))
	}
	if !s.Job.Receives() {
		line("# 3 is done, with warnings: a good backup must not count as a failed unit.")
		line("SuccessExitStatus=3")
	}
	line("# The runner ends its own children, so that it can say why and clean up.")
	line("KillMode=mixed")
	line("TimeoutStopSec=2min")
	line("UMask=0077")
	line("")
	line("NoNewPrivileges=yes")
	line("ProtectSystem=strict")
	if paths := s.allWritePaths(); len(paths) > 0 {
		// "-": a folder that is missing is the runner's to report, in its words.
		line("ReadWritePaths=%s", words(paths, "-"))
	}
	if s.Job.HasScratchCluster() && s.Job.ScratchDirectory() == "" && s.usesTmp() {
		line("# The server of the drill lies there, and not in a folder of its own: the job uses what others see.")
		line("ReadWritePaths=/tmp")
	}
	line("ProtectHome=read-only")
	line("PrivateTmp=%s", yesNo(!s.usesTmp()))
	line("ProtectKernelTunables=yes")
	line("ProtectKernelModules=yes")
	line("ProtectControlGroups=yes")
	line("RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK")
	line("RestrictRealtime=yes")
	line("RestrictSUIDSGID=yes")
	line("LockPersonality=yes")
	line("SystemCallArchitectures=native")
	if s.Job.Receives() {
		if s.Job.WAL.Spool == "" {
			line("# What was received and is not stored yet lies there.")
			line("StateDirectory=%s", UnitName(s.Job.Name))
			line("StateDirectoryMode=0700")
			line("Environment=XDG_STATE_HOME=%%S/%s", UnitName(s.Job.Name))
		}
		line("")
		line("[Install]")
		line("WantedBy=multi-user.target")
	}
	return b.String()
}

// timer renders the unit that starts the service.
func (s Spec) timer(when schedule.Schedule) string {
	var b strings.Builder
	b.WriteString(s.header())
	fmt.Fprintf(&b, "[Unit]\nDescription=%s\n\n[Timer]\n", specifiers("Schedule of "+s.describe()))
	for _, calendar := range when.Systemd() {
		fmt.Fprintf(&b, "OnCalendar=%s\n", specifiers(calendar))
	}
	b.WriteString("# A run that was missed while the host was down is made up for at its next start.\nPersistent=true\n")
	if s.RandomizedDelay > 0 {
		fmt.Fprintf(&b, "RandomizedDelaySec=%ds\n", int64(s.RandomizedDelay.Seconds()))
	}
	fmt.Fprintf(&b, "Unit=%s.service\n\n[Install]\nWantedBy=timers.target\n", UnitName(s.Job.Name))
	return b.String()
}

// usesTmp reports whether the job needs the /tmp that others see.
func (s Spec) usesTmp() bool {
	for _, p := range s.paths() {
		for _, tmp := range []string{"/tmp", "/var/tmp"} {
			if clean := path.Clean(p); clean == tmp || strings.HasPrefix(clean, tmp+"/") {
				return true
			}
		}
	}
	// A server that is not named is reached through libpq's default socket,
	// which is in /tmp where PostgreSQL was built from source.
	return slices.Contains(s.Job.ServerHosts(), "")
}

// paths of this machine that the job uses.
func (s Spec) paths() []string {
	paths := append(s.allWritePaths(), s.JobPath, s.Runner, s.EnvironmentFile)
	paths = append(paths, s.Job.ServerHosts()...)
	for _, f := range s.Job.ServerFiles() {
		paths = append(paths, f.Path)
	}
	for _, r := range s.Job.References() {
		if r.Ref.Scheme == secretref.File {
			paths = append(paths, r.Ref.Value)
		}
	}
	switch j := s.Job; {
	case j.Files != nil:
		paths = append(paths, j.Files.Paths...)
	case j.Config != nil && j.Config.Directory != "":
		paths = append(paths, j.Config.Directory)
	case j.Command != nil:
		paths = append(paths, j.Command.Argv...)
	}
	return paths
}

// commandLine quotes for ExecStart=: each word in double quotes where needed,
// '%' and '$' doubled.
func commandLine(command []string) string {
	quoted := make([]string, len(command))
	for i, w := range command {
		quoted[i] = strings.ReplaceAll(quote(w), "$", "$$")
	}
	return strings.Join(quoted, " ")
}

// words quotes a list of paths, each after a prefix that stays outside of them.
func words(list []string, prefix string) string {
	quoted := make([]string, len(list))
	for i, w := range list {
		quoted[i] = quote(prefix + w)
	}
	return strings.Join(quoted, " ")
}

func quote(word string) string {
	word = specifiers(word)
	if !strings.ContainsAny(word, " '\"\\;") {
		return word
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(word) + `"`
}

// specifiers keeps '%' from being read as one of systemd's.
func specifiers(text string) string { return strings.ReplaceAll(text, "%", "%%") }

func yesNo(b bool) string {
	return map[bool]string{true: "yes", false: "no"}[b]
}
