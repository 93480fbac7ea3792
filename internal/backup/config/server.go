package config

import (
	"bytes"
	"context"
	"encoding/json"
	"path"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// Server reads a configuration through SQL.
type Server struct {
	Target postgres.Target
	Clock  func() time.Time // nil is time.Now
}

// String names the server.
func (s Server) String() string { return s.Target.String() }

// Read reads the files, the settings in force and those of roles and databases.
func (s Server) Read(ctx context.Context) (Configuration, error) {
	clock := s.Clock
	if clock == nil {
		clock = time.Now
	}
	conn, err := postgres.OpenConfig(ctx, s.Target)
	if err != nil {
		return Configuration{}, err
	}
	defer conn.Close()
	at := conn.Server
	found := Configuration{
		Asked: clock(), Tool: "pg_read_binary_file",
		Server: repo.Server{Version: at.Version, Major: at.Major, SystemIdentifier: at.SystemIdentifier, InRecovery: at.InRecovery, Clock: at.Clock},
	}
	places, err := conn.Places(ctx)
	if err != nil {
		return found, err
	}
	c := newCollector(remote{conn, found.Asked})
	for _, f := range []struct {
		path     string
		need     need
		includes func(string) []include
	}{
		{places.Config, must, confIncludes},
		{path.Join(places.Data, "postgresql.auto.conf"), may, nil},
		{places.HBA, must, hbaIncludes},
		{places.Ident, ought, hbaIncludes},
	} {
		if err := c.file(ctx, f.path, f.need, f.includes, 0); err != nil {
			return found, err
		}
	}
	found.Files, found.Skipped = c.files, c.skipped
	settings, err := conn.Settings(ctx)
	if err != nil {
		return found, err
	}
	roles, err := conn.RoleSettings(ctx)
	if err != nil {
		return found, err
	}
	for _, own := range []struct {
		name string
		data func() ([]byte, error)
	}{
		{"pg_settings.jsonl", func() ([]byte, error) { return lines(settings) }},
		{"pg_db_role_setting.jsonl", func() ([]byte, error) { return lines(roles) }},
	} {
		data, err := own.data()
		if err != nil {
			return found, err
		}
		found.Files = append(found.Files, File{Name: Own + own.name, Data: data, Modified: found.Asked})
	}
	return found, nil
}

// remote reads files through the server. It does not tell when they were written.
type remote struct {
	*postgres.ConfigReader
	at time.Time
}

func (r remote) ReadFile(ctx context.Context, p string) ([]byte, time.Time, error) {
	data, err := r.ConfigReader.ReadFile(ctx, p)
	return data, r.at, err
}

// lines writes one JSON document a line, so that a difference shows in one.
func lines[T any](list []T) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for _, item := range list {
		if err := enc.Encode(item); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}
