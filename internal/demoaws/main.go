// Command demoaws lends a whole AWS account to a script, on a laptop and without
// an account: an emulator of AWS, a PostgreSQL server with two databases, and a
// way to run a registered Fargate task as processes. `make demo-aws` runs
// examples/aws-complete/demo.sh in it, `make restore-at-3am` examples/restore-at-3am/run.sh.
//
//	demoaws -- SCRIPT [ARGUMENT…]  starts the parts, runs the script, stops them
//	demoaws task SCHEDULE-ARN      runs what a schedule would start, once
//
// What lives here: starting the parts and telling the script where they are, in
// its environment. What must not: what the demonstration shows (the script), and
// anything the product needs; nothing imports this.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

const usage = "usage: demoaws -- SCRIPT [ARGUMENT…] | demoaws task SCHEDULE-ARN"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	err := run(ctx, os.Args[1:])
	if err != nil && ctx.Err() != nil {
		err = errors.New("stopped; nothing is left running")
	}
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "demo-aws: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 2 && args[0] == "task":
		return runTask(ctx, args[1])
	case len(args) >= 2 && args[0] == "--":
		return lend(ctx, args[1:])
	}
	return errors.New(usage)
}

// databases of the server, which the example backs up.
var databases = []string{"app", "orders"}

// lend starts the parts, runs the script and stops them whatever happens.
func lend(ctx context.Context, script []string) (err error) {
	endpoint, stop, err := startEmulator(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	server, err := testenv.StartPostgres(ctx, "", testenv.PostgresOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	if err := fill(ctx, server); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, script[0], script[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Env = append(environment(),
		"AWS_ACCESS_KEY_ID=testing", "AWS_SECRET_ACCESS_KEY=testing", "AWS_DEFAULT_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "AWS_PAGER=",
		"DEMO_ENDPOINT="+endpoint, "DEMO_PG_BIN="+server.Bin, fmt.Sprintf("DEMO_PG_MAJOR=%d", server.Major),
		"DEMO_PG_HOST="+server.Host, fmt.Sprintf("DEMO_PG_PORT=%d", server.Port), "DEMO_PG_USER="+server.User, "DEMO_PG_PASSWORD="+server.Password,
	)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 30 * time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(script[0]), err)
	}
	return nil
}

// environment is this process's without what would lead a script elsewhere.
func environment() (keep []string) {
	for _, pair := range os.Environ() {
		switch name, _, _ := strings.Cut(pair, "="); {
		case strings.HasPrefix(name, "AWS_"), strings.HasPrefix(name, "PG") && name != "PGBACKUP_PG_BIN", strings.HasPrefix(name, "TF_"), strings.HasPrefix(name, "BACKUP_"), name == "DATABASE_URL":
		default:
			keep = append(keep, pair)
		}
	}
	return keep
}

func fill(ctx context.Context, server *testenv.PostgresServer) error {
	for _, name := range databases {
		if out, err := server.Command(ctx, "createdb", "--template=template0", name).CombinedOutput(); err != nil {
			return fmt.Errorf("createdb %s: %w: %s", name, err, out)
		}
		if err := server.PgBench(ctx, name, 1); err != nil {
			return err
		}
	}
	return server.LoadSample(ctx, databases[0])
}

// startEmulator runs moto on a free port of loopback.
func startEmulator(ctx context.Context) (endpoint string, stop func() error, err error) {
	bin, err := filepath.Abs(".venv/bin/moto_server")
	if err != nil {
		return "", nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err = errors.Join(err, listener.Close()); err != nil {
		return "", nil, err
	}
	// No inherited profile or credentials: the emulator uses them itself.
	cmd := exec.Command(bin, "-H", "127.0.0.1", "-p", port) //nolint:noctx // ended below, after all that uses it
	cmd.Env = append(environment(), "AWS_ACCESS_KEY_ID=testing", "AWS_SECRET_ACCESS_KEY=testing")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("start the emulator: %w; run `make tools`", err)
	}
	stop = func() error {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait() // it was killed, and says so
		return nil
	}
	endpoint = "http://127.0.0.1:" + port
	if err := answers(ctx, endpoint+"/moto-api/data.json"); err != nil {
		return "", nil, errors.Join(err, stop())
	}
	return endpoint, stop, nil
}

// answers waits until a server does.
func answers(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("the emulator does not answer"))
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
