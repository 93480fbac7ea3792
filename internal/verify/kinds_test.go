package verify

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/command"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/config"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/files"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/globals"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/contents"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
)

// takeEach makes one point of every kind beside the logical one.
func takeEach(t *testing.T, f *fixture) []*repo.Manifest {
	t.Helper()
	tree := t.TempDir()
	if err := os.WriteFile(tree+"/a", []byte("alpha"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := func(source string) point.Options {
		return point.Options{Repo: f.Repository, Source: source, Self: repo.Self()}
	}
	var made []*repo.Manifest
	for _, take := range []func() (point.Result, error){
		func() (point.Result, error) {
			return files.Run(t.Context(), files.Options{Options: o("files"), Selection: job.Files{Paths: []string{tree}}})
		},
		func() (point.Result, error) {
			return command.Run(t.Context(), command.Options{Options: o("command"), Command: job.Command{Argv: []string{"echo", "all"}}})
		},
		func() (point.Result, error) {
			return globals.Run(t.Context(), globals.Options{Options: o("globals"), Target: f.target})
		},
		func() (point.Result, error) {
			return config.Run(t.Context(), config.Options{Options: o("config"), From: config.Server{Target: f.target}})
		},
	} {
		result, err := take()
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, result.Manifest)
	}
	return made
}

func TestEveryKindVerifiesAndOneFlippedBitOfEachObjectIsFound(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]seal.Wrapper{"plain": nil, "sealed": seal.Local{Key: seal.NewKey()}} {
		f := newFixture(t, key)
		made := takeEach(t, f)
		if report := f.verify(nil); report.Err() != nil || report.Checked != len(made) || len(report.Warnings) > 0 {
			t.Fatalf("%s: %+v", name, report)
		}
		for _, m := range made {
			for _, object := range m.Objects {
				undo := f.edit(filepath.Join(m.Ref().DataPrefix(), object.Name), flipMiddle)
				report := f.verify(func(o *Options) { o.Mark = false })
				if len(report.Bad) != 1 || report.Bad[0].ID != m.ID || report.Bad[0].Object != object.Name {
					t.Errorf("%s: %s of %s: %+v", name, object.Name, m.Ref(), report)
				}
				undo()
			}
		}
	}
}

// Points whose checksums are right and whose contents are not: written by a bug, or
// by somebody who may write to a repository that is not sealed.
func TestContentsThatDoNotFitEachOtherAreBad(t *testing.T) {
	t.Parallel()
	var whole bytes.Buffer
	w := tar.NewWriter(&whole)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "a", Mode: 0o600, Size: 5, ModTime: time.Unix(0, 0)}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("alpha")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	list := contents.NewDigest()
	line, err := list.Add(contents.Of(&tar.Header{Typeflag: tar.TypeReg, Name: "a", Mode: 0o600, Size: 5, ModTime: time.Unix(0, 0)},
		"be76331b95dfc399cd776d2fc68021e0db03cc4f"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		kind, want string
		totals     repo.Totals
		streams    map[string]string
	}{
		{"files", "cut off", repo.Totals{}, map[string]string{"archive": whole.String()[:1024], "entries": string(line)}},
		{"files", "the list of entries is not that of the tar", repo.Totals{Files: 1, Bytes: 5}, map[string]string{"archive": whole.String(), "entries": string(line)}},
		{"files", "names no list", repo.Totals{Files: 1, Bytes: 5}, map[string]string{"archive": whole.String()}},
		{"config", "names no archive", repo.Totals{}, map[string]string{"entries": ""}},
		{"command", "it is empty", repo.Totals{}, map[string]string{"output": ""}},
		{"command", "it is empty", repo.Totals{}, map[string]string{"other": "x"}},
		{"command", "counts 7 bytes, there are 5", repo.Totals{Bytes: 7}, map[string]string{"output": "alpha"}},
		{"globals", "last line of pg_dumpall", repo.Totals{Bytes: 13}, map[string]string{logical.StreamGlobals: "CREATE ROLE a"}},
	} {
		f := newFixture(t, nil)
		p, err := f.NewPoint("app", c.kind, time.Now(), repo.WriterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for name, data := range c.streams {
			if err := p.WriteStream(t.Context(), name, []byte(data)); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Commit(t.Context(), &repo.Manifest{End: time.Now(), Totals: c.totals}); err != nil {
			t.Fatal(err)
		}
		if report := f.verify(nil); len(report.Bad) != 1 || !strings.Contains(report.Bad[0].Problem, c.want) {
			t.Errorf("%s, want %q: %+v", c.kind, c.want, report)
		}
	}
}
