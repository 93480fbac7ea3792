// Command quickstart shows the whole product on a throwaway PostgreSQL: Terraform
// declares a backup, the installed runner takes it twice, and what it restores is
// compared with the original. `make quickstart` builds what it needs and runs it
// in the root of the project.
//
// What lives here: the tour, its words, and checking that each step did what it
// should. What must not: anything the product needs; nothing imports this.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	provider := flag.String("provider", "bin/terraform-provider-pgbackup", "the provider to try")
	runner := flag.String("runner", "bin/pgbackup-runner", "the runner of this machine")
	flag.Parse()
	// SIGPIPE too: a reader that goes away must not leave a server behind.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	err := run(ctx, *provider, *runner)
	if err != nil && ctx.Err() != nil {
		err = errors.New("stopped; nothing is left running")
	}
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "\nquickstart: %v\n", err)
		os.Exit(1)
	}
}

// run prepares the workspace, walks through the tour and stops the server
// whatever happens.
func run(ctx context.Context, provider, runner string) (err error) {
	begun := time.Now()
	t := &tour{shell: shell{out: os.Stdout}, runner: runner}
	if err := forgetEnvironment(); err != nil {
		return err
	}
	if t.cli, err = findTerraform(ctx); err != nil {
		return err
	}
	if err := prepareWorkspace(provider); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.stopServer()) }()
	if err := t.walk(ctx); err != nil {
		return err
	}
	if err := t.stopServer(); err != nil {
		return err
	}
	return t.whatNext(ctx, time.Since(begun))
}
