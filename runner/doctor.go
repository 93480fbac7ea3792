package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

// verdict of one check.
type verdict string

const (
	good verdict = "ok"
	soso verdict = "warn"
	bad  verdict = "fail"
)

// finding is one line of doctor's report.
type finding struct {
	Check  string  `json:"check"`
	Result verdict `json:"result"`
	Detail string  `json:"detail"`
	Fix    string  `json:"fix,omitempty"` // what to do, one or more lines
}

// doctor collects findings. Checks go on after one failed, as far as they can.
type doctor struct {
	*app
	findings []finding
	// unreachable: the server of base backups could not be connected to, which was said.
	unreachable bool
}

func (d *doctor) add(check string, result verdict, fix, format string, args ...any) {
	d.findings = append(d.findings, finding{check, result, oneLine(fmt.Sprintf(format, args...)), fix})
}

func newDoctor(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "doctor", Short: "Check everything a backup needs and say how to fix what is missing", Args: cobra.NoArgs,
		Long: `Look at the server, the rights of the role, PostgreSQL's programs, the repository, the
key and the policy, as the next backup would use them. A scratch object is written to
the repository and removed again.

Of a job of kind physical or wal: that the role may replicate and pg_hba.conf admits it,
the server's settings, WAL senders and slot, its archiver, that its WAL comes into the
repository, the spool of this machine and the rights for the heartbeat.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.doctor(cmd.Context()) },
	}
}

func (a *app) doctor(ctx context.Context) error {
	d := &doctor{app: a}
	d.repository(ctx)
	d.databases(ctx)
	d.continuous(ctx)
	d.contents(ctx)
	worst := good
	for _, f := range d.findings {
		if f.Result == bad || f.Result == soso && worst == good {
			worst = f.Result
		}
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if a.flags.json {
		if err := a.printJSON(map[string]any{"result": worst, "checks": d.findings}); err != nil {
			return err
		}
	} else if err := d.print(); err != nil {
		return err
	}
	switch worst {
	case bad:
		return errTold
	case soso:
		return errWarned
	}
	return nil
}

func (d *doctor) print() error {
	if d.flags.quiet {
		return nil
	}
	var rows [][]string
	for _, f := range d.findings {
		rows = append(rows, []string{string(f.Result), f.Check, f.Detail})
		for _, line := range nonEmptyLines(f.Fix) {
			rows = append(rows, []string{"", "", "  " + line})
		}
	}
	return d.table([]string{"RESULT", "CHECK", "DETAIL"}, rows)
}
