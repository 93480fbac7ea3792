package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version of this program", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if a.flags.json {
				sum, err := selfHash()
				if err != nil {
					return fmt.Errorf("hash this program: %w", err)
				}
				return a.printJSON(map[string]any{
					"sha256":  sum,
					"version": runnerVersion(), "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH,
					"repository_format": repo.Format, "manifest_format": repo.ManifestFormat,
				})
			}
			a.say("pgbackup-runner %s (%s/%s, %s)", runnerVersion(), runtime.GOOS, runtime.GOARCH, runtime.Version())
			return nil
		},
	}
}

// runnerVersion is the release this program was built as; for a build by hand,
// what the Go tools recorded.
func runnerVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
