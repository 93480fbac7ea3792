package main

import (
	"context"
	"fmt"
	"io"
	"time"
)

// whatNext ends the tour with commands that work without the server. They are
// run before they are promised.
func (t *tour) whatNext(ctx context.Context, took time.Duration) error {
	show := []string{t.installed, "show", "latest", "--job", t.job}
	cat, list := []string{t.installed, "cat", "latest", "--job", t.job}, []string{"pg_restore", "--list"}
	plan := []string{t.cli.name, chdir, "plan", "-var", "keep_weekly=4"}
	for _, command := range [][]string{show, plan} {
		if _, err := t.ask(ctx, command[0], command[1:]...); err != nil {
			return fmt.Errorf("a command to try next: %w", err)
		}
	}
	if err := t.connect(ctx, io.Discard, cat, list); err != nil {
		return fmt.Errorf("a command to try next: %w", err)
	}
	fmt.Fprintf(t.out, "\nDone in %s: declared, backed up twice, verified, restored twice, every row equal.\n", took.Round(time.Second))
	fmt.Fprintf(t.out, "The server is gone and nothing runs any more; %s is kept. Three commands to try next:\n\n", workspace)
	fmt.Fprintln(t.out, "  "+commandLine(show...))
	fmt.Fprintln(t.out, "  "+commandLine(cat...)+" | "+commandLine(list...))
	fmt.Fprintln(t.out, "  "+useConfig+" "+commandLine(plan...))
	fmt.Fprintln(t.out)
	return nil
}
