// Command history makes many nights of backups at once: real backups of a real,
// changing database, each dated one night after the other up to last night. It is
// for trying out what retention does to a repository that has been used for a
// month; examples/retention-review runs it.
//
// What lives here: the throwaway server, the nights and their changes. What must
// not: anything the product needs; nothing imports this.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func main() {
	at := flag.String("repository", "", "URL of the repository, such as file:///tmp/repository")
	policy := flag.String("policy", "", "name of the policy the backups are made under")
	source := flag.String("source", "shop@db1", "name of what is backed up")
	nights := flag.Int("nights", 30, "how many nights")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	err := run(ctx, *at, *policy, *source, *nights)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "history: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, at, policy, source string, nights int) (err error) {
	opts := backup.Options{Options: point.Options{Source: source, Policy: policy, Self: repo.Self(), RunnerVersion: "history"}}
	if opts.Repo, err = open(ctx, at); err != nil {
		return err
	}
	if policy != "" {
		revision, err := opts.Repo.CurrentPolicy(ctx, policy)
		if err != nil {
			return err
		}
		opts.PolicyRevision = revision.Number
	}
	server, err := testenv.StartPostgres(ctx, "", testenv.PostgresOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	// The programs of the server's own version come first.
	if err := os.Setenv("PATH", server.Bin+string(os.PathListSeparator)+os.Getenv("PATH")); err != nil {
		return err
	}
	const database = "shop"
	if err := exec(ctx, server.URL("postgres"), "CREATE DATABASE "+database); err != nil {
		return err
	}
	if opts.Target, err = postgres.ParseTarget(server.URL(database)); err != nil {
		return err
	}
	lastNight := time.Now().UTC().Truncate(24 * time.Hour).Add(2 * time.Hour)
	if lastNight.After(time.Now()) {
		lastNight = lastNight.AddDate(0, 0, -1)
	}
	for night := range nights {
		if err := exec(ctx, server.URL(database), day(night)...); err != nil {
			return err
		}
		if err := takeAt(ctx, opts, lastNight.AddDate(0, 0, night+1-nights)); err != nil {
			return err
		}
	}
	fmt.Printf("%d nights of %s, the last one %s\n", nights, source, lastNight.Format(time.DateOnly))
	return nil
}

func open(ctx context.Context, url string) (*repo.Repository, error) {
	at, err := location.Parse(url)
	if err != nil {
		return nil, fmt.Errorf("-repository: %w", err)
	}
	store, err := location.Open(ctx, at, location.OpenOptions{})
	if err != nil {
		return nil, err
	}
	return repo.Open(ctx, store, repo.OpenOptions{})
}

// takeAt takes a backup as if its machine's clock had begun it at that moment.
// What the backup says about clocks that disagree is meant, and left out.
func takeAt(ctx context.Context, opts backup.Options, moment time.Time) error {
	begun := time.Now()
	opts.Clock = func() time.Time { return moment.Add(time.Since(begun)) }
	_, err := backup.Run(ctx, opts)
	return err
}

// day is what happens to the database between two nights.
func day(n int) []string {
	if n == 0 {
		return []string{
			"CREATE TABLE customers (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, joined timestamptz NOT NULL DEFAULT now())",
			"CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer bigint NOT NULL REFERENCES customers, total numeric(10,2) NOT NULL, note text)",
			"INSERT INTO customers (name) SELECT 'customer ' || md5(g::text) FROM generate_series(1, 2000) g",
		}
	}
	return []string{
		"INSERT INTO customers (name) SELECT 'customer ' || md5(random()::text) FROM generate_series(1, 100)",
		"INSERT INTO orders (customer, total, note) SELECT 1 + (random() * 1999)::int, round((random() * 500)::numeric, 2), md5(random()::text) FROM generate_series(1, 5000)",
	}
}

func exec(ctx context.Context, url string, statements ...string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", strings.SplitN(sql, " (", 2)[0], err)
		}
	}
	return nil
}
