// Package command backs up what a program writes to its standard output, such as
// `kubectl get configmap,secret -o yaml`.
//
// What lives here: running the program, and when its output is a backup. What
// must not: a shell, what every kind does alike (package point), flags and
// printing (the faces).
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/contents"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// Options of Run.
type Options struct {
	point.Options
	Command job.Command
	// HideEnv names environment variables that the program does not get: those with
	// the repository's key and the other secrets of the job.
	HideEnv []string
}

// ErrTimeLimit: the program did not end in its time.
var ErrTimeLimit = errors.New("the command ran longer than its time limit")

// Run takes one backup. A program that ends with another status than 0, late, or
// without having written anything is no backup, and nothing is stored.
func Run(ctx context.Context, o Options) (point.Result, error) {
	name := filepath.Base(o.Command.Argv[0])
	return point.Take(ctx, o.Options, string(job.KindCommand), "command "+name, func(ctx context.Context, w *point.Writing) (*repo.Manifest, error) {
		var size int64
		err := w.Timed("running", func() (err error) {
			size, err = o.store(ctx, w)
			return err
		})
		if err != nil {
			return nil, err
		}
		return &repo.Manifest{
			Tool:   name,
			Totals: repo.Totals{Bytes: size},
			Origin: &repo.Origin{Host: o.OriginHost(), Program: name, FileName: o.Command.FileName},
		}, nil
	})
}

// store runs the program and stores its output, which is complete only when the
// program says so by its exit status.
func (o Options) store(ctx context.Context, w *point.Writing) (int64, error) {
	limit, _ := o.Command.TimeLimit.Exact()
	if limit <= 0 {
		limit = job.DefaultTimeLimit
	}
	out := w.NewStream(ctx, contents.StreamOutput)
	limited, stop := context.WithTimeoutCause(out.Context(), limit, fmt.Errorf("%w of %s and was killed; time_limit sets another", ErrTimeLimit, limit))
	defer stop()
	size, err := o.run(limited, out)
	return size, out.Close(err)
}

// run copies the program's output until its end, and then asks how it ended.
func (o Options) run(ctx context.Context, out io.Writer) (int64, error) {
	p, err := start(ctx, o.Command.Argv, o.environment())
	if err != nil {
		return 0, err
	}
	n, copyErr := io.Copy(out, p.stdout)
	if copyErr != nil {
		p.kill()
	}
	err = p.wait()
	switch {
	case ctx.Err() != nil:
		err = &Failure{context.Cause(ctx), p.said()}
	case copyErr != nil:
		err = fmt.Errorf("store the output of %s: %w", p.name, copyErr)
	case err == nil && n == 0:
		err = &Failure{fmt.Errorf("%w: %s wrote nothing to its standard output and ended with status 0", point.ErrEmpty, p.name), p.said()}
	}
	return n, err
}

// environment is ours without the secrets of the job.
func (o Options) environment() []string {
	return slices.DeleteFunc(os.Environ(), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.Contains(o.HideEnv, name)
	})
}
