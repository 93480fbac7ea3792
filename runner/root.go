package main

import (
	"errors"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/nearest"
)

// newRoot builds the command tree around one invocation.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "pgbackup-runner",
		Short: "Back up PostgreSQL, prove the backups, rotate and restore them",
		Long: `pgbackup-runner takes PostgreSQL backups into a repository (a directory or an S3
bucket), verifies them before they become visible, applies a retention policy and
restores. A job file written by the Terraform provider tells it all it needs; without
one, give --repository and --database.

Flags beat environment variables (DATABASE_URL, BACKUP_BUCKET, BACKUP_REGION,
BACKUP_ENCRYPTION_KEY, BACKUP_RETENTION_DAYS), which beat the job file, except
BACKUP_RETENTION_DAYS: it counts only where neither a flag nor the job names a policy.

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 done with warnings,
4 not found, 5 somebody holds the lock, 6 a bad backup was found.`,
		Example: `  pgbackup-runner init    --repository file:///var/backups/pg
  pgbackup-runner backup  --repository file:///var/backups/pg --database postgres://backup@db.example.org/app
  pgbackup-runner list    --job /etc/pgbackup/nightly.job.json
  pgbackup-runner restore latest --job /etc/pgbackup/nightly.job.json --to-database app_restored`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
		Args:              cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return exitcode.Errorf(exitcode.Usage, "unknown command %q%s", args[0], orHelp(nearest.Suggestion(args[0], commandNames(cmd)), cmd))
		},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			a.replicaUse = useOfReplica(cmd)
			return a.prepare(cmd.Context())
		},
	}
	a.flags.register(root.PersistentFlags())
	root.AddCommand(
		newBackup(a), newList(a), newShow(a), newCat(a), newVerify(a), newRotate(a), newRestore(a), newImport(a), newCompare(a), newDrill(a), newDrills(a),
		newAudit(a), newHold(a), newRelease(a), newInit(a), newInstall(a), newDoctor(a), newKey(a), newPolicy(a), newRDS(a), newRunbook(a), newState(a), newStatus(a), newWAL(a), newVersion(a),
	)
	root.SetFlagErrorFunc(flagError)
	root.SetOut(a.out) // completion keeps the stream it finds
	completion(root)
	wrapArgs(root)
	a.tellOfJobs(root)
	return root
}

// completion adds cobra's command now, so that its subcommands are treated like
// ours: an unknown shell is wrong usage, not a page of help.
func completion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" {
			group(cmd)
		}
	}
}

// wrapArgs makes a wrong number of arguments a usage error.
func wrapArgs(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return exitcode.Errorf(exitcode.Usage, "%s: %w; see `%s --help`", cmd.Name(), err, cmd.CommandPath())
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		wrapArgs(sub)
	}
}

// flagError names the flag that was probably meant.
func flagError(cmd *cobra.Command, err error) error {
	if invalid := (*pflag.InvalidValueError)(nil); errors.As(err, &invalid) && errors.As(err, new(*strconv.NumError)) {
		want := "a whole number"
		if invalid.GetFlag().Value.Type() == "bool" {
			want = "true or false"
		}
		return usagef("%s: --%s %q: give %s", cmd.Name(), invalid.GetFlag().Name, invalid.GetValue(), want)
	}
	hint := ""
	if unknown := (*pflag.NotExistError)(nil); errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "" {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
		if name, ok := nearest.Name("--"+unknown.GetSpecifiedName(), names); ok {
			hint = "; did you mean " + name + "?"
		}
	}
	return exitcode.Errorf(exitcode.Usage, "%s: %w%s", cmd.Name(), err, orHelp(hint, cmd))
}

func orHelp(hint string, cmd *cobra.Command) string {
	if hint != "" {
		return hint
	}
	return "; see `" + cmd.CommandPath() + " --help`"
}

func commandNames(cmd *cobra.Command) []string {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return names
}

// group is a command that only has subcommands.
func group(cmd *cobra.Command, subcommands ...*cobra.Command) *cobra.Command {
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		return exitcode.Errorf(exitcode.Usage, "unknown command %q%s", strings.Join(append([]string{cmd.Name()}, args...), " "),
			orHelp(nearest.Suggestion(args[0], commandNames(cmd)), cmd))
	}
	cmd.AddCommand(subcommands...)
	return cmd
}
