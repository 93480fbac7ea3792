package testenv

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
)

//go:embed sampledb/*.sql
var sampleFiles embed.FS

// SampleSQL is the SQL of the sample application database, one script a subject,
// in the order to run them. Scripts may be run in several databases of a
// server: what belongs to the whole server is made only where absent.
func SampleSQL() []string {
	names, err := fs.Glob(sampleFiles, "sampledb/*.sql")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	scripts := make([]string, len(names))
	for i, name := range names {
		b, err := sampleFiles.ReadFile(name)
		if err != nil {
			panic(err) // the file is embedded
		}
		scripts[i] = string(b)
	}
	return scripts
}

// LoadSample fills a database with the sample application: the variety that
// breaks naive tools.
func (p *PostgresServer) LoadSample(ctx context.Context, db string) error {
	conn, err := pgx.Connect(ctx, p.URL(db))
	if err != nil {
		return fmt.Errorf("load sample database: %w", err)
	}
	defer conn.Close(ctx)
	for i, script := range SampleSQL() {
		if _, err := conn.PgConn().Exec(ctx, script).ReadAll(); err != nil {
			return fmt.Errorf("load sample database, script %d: %w", i+1, err)
		}
	}
	return nil
}
