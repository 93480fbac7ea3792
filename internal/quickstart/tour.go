package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// tour is what the steps hand on to each other.
type tour struct {
	shell
	cli    terraform
	runner string // the runner as built, which makes the key

	server    *testenv.PostgresServer // nil when it does not run
	installed string                  // the runner as Terraform installed it
	job       string                  // the job file as Terraform deployed it
	drill     string                  // the job file of the restore drill

	repository string // its URL
}

// walk goes through the steps and ends at the first that is not as it should be.
func (t *tour) walk(ctx context.Context) error {
	steps := []struct {
		title string
		do    func(context.Context) error
	}{
		{"A database worth protecting", t.startServer},
		{"A key that encrypts the backups", t.makeKey},
		{"Terraform declares the backup and installs the runner", t.apply},
		{"The first backup, by the installed runner and the deployed job file", t.firstBackup},
		{"The data changes, the second backup", t.secondBackup},
		{"Every stored byte is read again", t.verify},
		{"A restore, compared with the original", t.restore},
		{"A restore by PostgreSQL's own tools alone", t.restorePlain},
		{"What retention would delete", t.rotate},
		{"Nothing changed, so Terraform plans nothing", t.planNothing},
		{"A shorter retention, as a reviewer sees it", t.planRetention},
		{"A restore drill, as the second timer would run it", t.restoreDrill},
	}
	for i, s := range steps {
		t.heading(i+1, s.title)
		if err := s.do(ctx); err != nil {
			return fmt.Errorf("step %d, %s: %w", i+1, strings.ToLower(s.title[:1])+s.title[1:], err)
		}
	}
	return nil
}

func (t *tour) makeKey(ctx context.Context) error {
	t.say("The key stays in a file; Terraform and the job file only ever know where it is.")
	return t.run(ctx, t.runner, "key", "generate", "--out", keyFile)
}

func (t *tour) firstBackup(ctx context.Context) error {
	t.say("A timer would run this every night. It finds the password in the environment: " + passwordVariable + ".")
	return t.runRunner(ctx, "backup")
}

func (t *tour) secondBackup(ctx context.Context) error {
	if err := t.changeData(ctx); err != nil {
		return err
	}
	if err := t.runRunner(ctx, "backup"); err != nil {
		return err
	}
	if err := t.runRunner(ctx, "list"); err != nil {
		return err
	}
	out, err := t.ask(ctx, t.installed, "list", "--json", "--job", t.job)
	if err != nil {
		return err
	}
	var list struct {
		Points []struct {
			Verified bool `json:"verified"`
		} `json:"points"`
	}
	if err := json.Unmarshal(out, &list); err != nil {
		return fmt.Errorf("read list --json: %w", err)
	}
	if len(list.Points) != 2 || !list.Points[0].Verified || !list.Points[1].Verified {
		return fmt.Errorf("two verified recovery points should be listed, there are: %s", out)
	}
	return nil
}

func (t *tour) verify(ctx context.Context) error {
	t.say("Checksums, encryption, the archive's structure, and rows and hash of every table.")
	return t.runRunner(ctx, "verify", "--all")
}

func (t *tour) restore(ctx context.Context) error {
	if err := t.runRunner(ctx, "restore", "latest", "--to-database", restoredDatabase); err != nil {
		return err
	}
	return t.compare(ctx, restoredDatabase)
}

func (t *tour) restorePlain(ctx context.Context) error {
	t.say("No lock-in: `cat` writes the archive as pg_dump made it. PGHOST, PGPORT, PGUSER and PGPASSWORD lead to the server.")
	if err := t.run(ctx, "createdb", "--template", "template0", plainDatabase); err != nil {
		return err
	}
	cat := []string{t.installed, "cat", "latest", "--job", t.job}
	if err := t.pipe(ctx, cat, []string{"pg_restore", "--exit-on-error", "--dbname", plainDatabase}); err != nil {
		return err
	}
	return t.compare(ctx, plainDatabase)
}

func (t *tour) rotate(ctx context.Context) error {
	t.say("By the policy both stay. By a rule given here, without job file and policy, one would go.")
	if err := t.runRunner(ctx, "rotate", "--dry-run"); err != nil {
		return err
	}
	return t.run(ctx, t.installed, "rotate", "--dry-run", "--repository", t.repository, "--keep-last", "1")
}

func (t *tour) restoreDrill(ctx context.Context) error {
	t.say("The runner starts a server of its own, restores the newest backup into it, compares, and removes it.")
	return t.run(ctx, t.installed, "drill", "--job", t.drill)
}

// runRunner runs the installed runner with the deployed job file.
func (t *tour) runRunner(ctx context.Context, words ...string) error {
	return t.run(ctx, t.installed, append(words, "--job", t.job)...)
}

// relative shortens a path below the project for people.
func relative(path string) (string, error) {
	root, err := filepath.Abs(".")
	if err != nil {
		return "", err
	}
	short, err := filepath.Rel(root, path)
	if err != nil || !filepath.IsLocal(short) {
		return "", errors.Join(fmt.Errorf("%s is not below %s", path, root), err)
	}
	return short, nil
}
