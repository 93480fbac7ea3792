package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"
)

// whatNext ends the tour with commands that work without the server. They are
// run before they are promised.
func (t *tour) whatNext(ctx context.Context, took time.Duration) error {
	show := []string{t.installed, "show", "latest", "--job", t.job}
	cat, list := []string{t.installed, "cat", "latest", "--job", t.job}, []string{"pg_restore", "--list"}
	plan := []string{t.cli.name, chdir, "plan", "-var", "keep_daily=7"}
	for _, command := range [][]string{show, plan} {
		if _, err := t.ask(ctx, command[0], command[1:]...); err != nil {
			return fmt.Errorf("a command to try next: %w", err)
		}
	}
	var contents bytes.Buffer
	// pg_restore --list reads no further than the table of contents, which cuts cat short.
	if _, err := t.connect(ctx, &contents, cat, list); err != nil || !strings.Contains(contents.String(), "TABLE DATA shop reviews") {
		return fmt.Errorf("a command to try next, pg_restore --list: %w\n%s", err, contents.String())
	}
	fmt.Fprintf(t.out, "\nDone in %s: declared, backed up twice, verified, restored twice, every row equal, and proven by a drill.\n", took.Round(time.Second))
	fmt.Fprintf(t.out, "The server is gone and nothing runs any more; %s is kept. Three commands to try next:\n\n", workspace)
	fmt.Fprintln(t.out, "  "+commandLine(show...))
	fmt.Fprintln(t.out, "  "+commandLine(cat...)+" | "+commandLine(list...))
	fmt.Fprintln(t.out, "  "+useConfig+" "+commandLine(plan...))
	fmt.Fprintln(t.out)
	return nil
}
