package job_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/strictjson"
)

func ref(s string) secretref.Ref {
	r, err := secretref.Parse(s)
	if err != nil {
		panic(err)
	}
	return r
}

func nightly() job.Job {
	no := false
	return job.Job{
		Format: job.Format, Name: "nightly", Kind: job.KindLogical, Repository: "s3://acme-pg-backups/prod?region=us-east-1",
		KeyRef: ref("env:BACKUP_KEY"), Policy: "prod", Source: "db1.example.org",
		Logical: &job.Logical{
			Databases: []string{"app", "Straße & Co"},
			Server: job.Server{
				Host: "db1.example.org", Port: 5432, User: "backup", PasswordRef: ref("file:/etc/pgbackup/db.json#password"),
				SSLMode: "verify-full", SSLRootCert: "/etc/ssl/rds.pem",
			},
			ExcludeTables: []string{"public.log_*"},
		},
		Verify: job.VerifyStored, Rotate: &no,
		Limits:   job.Limits{MaxDuration: duration.MustParse("6h"), StallTimeout: duration.MustParse("10m"), UploadRate: 50 << 20},
		Schedule: &job.Schedule{Cron: "0 2 * * *", Timezone: "Europe/Berlin"},
	}
}

const nightlyCanonical = `{"format":1,"name":"nightly","kind":"logical","repository":"s3://acme-pg-backups/prod?region=us-east-1","key_ref":"env:BACKUP_KEY",` +
	`"policy":"prod","source":"db1.example.org","logical":{"databases":["app","Straße & Co"],"server":{"host":"db1.example.org","port":5432,"user":"backup",` +
	`"password_ref":"file:/etc/pgbackup/db.json#password","sslmode":"verify-full","sslrootcert":"/etc/ssl/rds.pem"},"exclude_tables":["public.log_*"]},` +
	`"verify":"stored","rotate":false,"limits":{"max_duration":"6h","stall_timeout":"10m","upload_rate":52428800},"schedule":{"cron":"0 2 * * *","timezone":"Europe/Berlin"}}`

func TestTheCanonicalFormIsPinnedAndReadsBack(t *testing.T) {
	t.Parallel()
	if got := string(nightly().Canonical()); got != nightlyCanonical {
		t.Fatalf("got  %s\nwant %s", got, nightlyCanonical)
	}
	data, err := nightly().Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := job.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if string(back.Canonical()) != nightlyCanonical || back.Digest() != nightly().Digest() || len(back.Digest()) != 64 {
		t.Errorf("%s", back.Canonical())
	}
}

func TestDefaultsAreTheDocumentedOnes(t *testing.T) {
	t.Parallel()
	j, err := job.Parse([]byte(`{"format":1,"name":"n","kind":"logical","repository":"file:///backups","logical":{}}`))
	if err != nil {
		t.Fatal(err)
	}
	if j.Verification() != job.VerifyStreamed || !j.RotateAfter() || !j.Logical.WithGlobals() {
		t.Errorf("%+v", j)
	}
	if n := nightly(); n.Verification() != job.VerifyStored || n.RotateAfter() {
		t.Error("what is given does not count")
	}
}

func TestBadJobsAreRefusedWithThePlaceAndTheFix(t *testing.T) {
	t.Parallel()
	logical := func(inner string) string {
		return `{"format":1,"name":"n","kind":"logical","repository":"file:///b","logical":` + inner + `}`
	}
	for data, want := range map[string]string{
		logical(`{"databses":["a"]}`):                                                `job.logical.databses: unknown field; did you mean "databases"?`,
		logical(`{"server":{"pasword_ref":"env:A"}}`):                                `job.logical.server.pasword_ref: unknown field; did you mean "password_ref"?`,
		logical(`{"server":{"password":"hunter2"}}`):                                 `job.logical.server.password: unknown field; did you mean "password_ref"?`,
		logical(`{"server":{"password_ref":"hunter2"}}`):                             `job.logical.server.password_ref: not a reference to a secret`,
		logical(`{"server":{"password_ref":"kms:arn:x"}}`):                           `job.logical.server.password_ref: a KMS key holds no text: only key_ref may name one`,
		logical(`{"server":{"sslrootcert":"/ca.pem","sslrootcert_ref":"ssm:/a/b"}}`): `job.logical.server.sslrootcert_ref: and sslrootcert both say`,
		logical(`{"server":{"password_ref":7}}`):                                     `job.logical.server.password_ref: must be text in quotes, not a number`,
		logical(`{"server":{"port":"5432"}}`):                                        `job.logical.server.port: must be a whole number, not text`,
		logical(`{"server":{"port":70000}}`):                                         `job.logical.server.port: is 70000`,
		logical(`{"server":{"sslmode":"verify_full"}}`):                              `did you mean "verify-full"?`,
		logical(`{"server":{"sslrootcert":"ca.pem"}}`):                               `job.logical.server.sslrootcert: "ca.pem": give an absolute path`,
		logical(`{"server":{"sslcert":"/c.pem"}}`):                                   `sslcert and sslkey belong together`,
		logical(`{"server":{"host":"u:hunter2@db"}}`):                                `job.logical.server.host: must be a host name`,
		logical(`{"databases":["postgres://u:hunter2@h/d"]}`):                        `job.logical.databases[0]: must be the name of a database`,
		logical(`{"databases":["a","a"]}`):                                           `job.logical.databases[1]: "a" is given twice`,
		logical(`{"databases":[""]}`):                                                `job.logical.databases[0]: is empty`,
		logical(`{"exclude_tables":["a\u0000b"]}`):                                   `job.logical.exclude_tables[0]: holds a control character`,
		logical(`{"database_url_ref":"env:DATABASE_URL","databases":["a"]}`):         `says server and database already`,
		logical(`null`): `job.logical: is missing`,
		`{"format":1,"name":"n","kind":"logicl","repository":"file:///b"}`:                                                                              `job.kind: "logicl" is not known to this version; did you mean "logical"?`,
		`{"format":1,"name":"n","kind":"phisical","repository":"file:///b"}`:                                                                            `job.kind: "phisical" is not known to this version; did you mean "physical"?`,
		`{"format":1,"name":"n","repository":"file:///b"}`:                                                                                              `job.kind: is missing: give one of logical, physical, wal, globals, config, files, command, rds_snapshot, rotate, verify, freshness`,
		`{"format":1,"name":"n","kind":"rotate","repository":"file:///b"}`:                                                                              `job.policy: is missing`,
		`{"format":1,"name":"n","kind":"verify","repository":"file:///b","logical":{}}`:                                                                 `job.logical: has no meaning in a job of kind "verify"`,
		`{"format":1,"name":"N","kind":"verify","repository":"file:///b"}`:                                                                              `job.name: "N": only lower-case`,
		`{"format":1,"kind":"verify","repository":"file:///b"}`:                                                                                         `job.name: is missing`,
		`{"format":1,"name":"n","kind":"verify"}`:                                                                                                       `job.repository: is missing`,
		`{"format":1,"name":"n","kind":"verify","repository":"file:///b","source":"a/b"}`:                                                               `job.source: "a/b"`,
		`{"format":1,"name":"n","kind":"verify","repository":"file:///b","policy":"-"}`:                                                                 `job.policy: "-"`,
		`{"format":1,"name":"n","kind":"verify","repository":"file:///b","key_ref":"0123456789abcdef"}`:                                                 `job.key_ref: not a reference to a secret`,
		`{"format":1,"name":"n","kind":"verify","repository":"file:///b","schedule":{"cron":"60 * * * *"}}`:                                             `job.schedule: cron expression "60 * * * *": minute "60"`,
		`{"format":1,"name":"n","kind":"verify","repository":"file:///b","limits":{"max_duration":"1mo"}}`:                                              `job.limits.max_duration: "1mo" goes by the calendar`,
		`{"format":1,"name":"n","kind":"verify","repository":"file:///b","limits":{"max_duration":"5m","stall_timeout":"10m"}}`:                         `job.limits.stall_timeout: "10m" is longer than max_duration`,
		`{"format":1,"name":"n","kind":"verify","repository":"file:///b","limits":{"upload_rate":-1}}`:                                                  `job.limits.upload_rate: is -1`,
		`{"name":"n","kind":"verify","repository":"file:///b"}`:                                                                                         `job.format: is 0: give 1`,
		`{"format":1,"name":"n","kind":"files","repository":"file:///b","files":{"paths":["/etc/x","/etc"]}}`:                                           `job.files.paths[0]: "/etc/x" is below "/etc"`,
		`{"format":1,"name":"n","kind":"files","repository":"file:///b","files":{"paths":["etc"]}}`:                                                     `job.files.paths[0]: "etc": give an absolute path`,
		`{"format":1,"name":"n","kind":"files","repository":"file:///b","files":{"paths":["/etc"],"exclude":["[a"]}}`:                                   `job.files.exclude[0]: "[a" is no pattern`,
		`{"format":1,"name":"n","kind":"files","repository":"file:///b"}`:                                                                               `job.files: is missing: a job of kind "files" needs it to say which files`,
		`{"format":1,"name":"n","kind":"command","repository":"file:///b","command":{"argv":[]}}`:                                                       `job.command.argv: is missing`,
		`{"format":1,"name":"n","kind":"command","repository":"file:///b","command":{"argv":["a"],"file_name":"../b"}}`:                                 `job.command.file_name: "../b": give the name of a file`,
		`{"format":1,"name":"n","kind":"config","repository":"file:///b","config":{"directory":"/e","rds_instance":"a"}}`:                               `job.config.server: is one of several places given`,
		`{"format":1,"name":"n","kind":"rds_snapshot","policy":"p","repository":"file:///b","rds_snapshot":{}}`:                                         `job.rds_snapshot.instance: or cluster: give exactly one of them`,
		`{"format":1,"name":"n","kind":"rds_snapshot","policy":"p","repository":"file:///b","rds_snapshot":{"instance":"a--b"}}`:                        `job.rds_snapshot.instance: "a--b"`,
		`{"format":1,"name":"n","kind":"freshness","repository":"file:///b"}`:                                                                           `job.policy: is missing`,
		`{"format":1,"name":"n","kind":"verify","repository":"file:///b","metrics":"statsd"}`:                                                           `job.metrics: "statsd" is not known`,
		`{"format":1,"name":"n","kind":"verify","repository":"file:///b","notify":[{"channel":"slak","url_ref":"env:A"}]}`:                              `job.notify[0].channel: "slak" is not known to this version; did you mean "slack"?`,
		`{"format":1,"name":"n","kind":"verify","repository":"file:///b","notify":[{"channel":"slack","url_ref":"https://hooks.example.org/hunter2"}]}`: `job.notify[0].url_ref: not a reference to a secret`,
		`{"format":1,"name":"n","kind":"verify","repository":"file:///b","notify":[{"channel":"ping"}]}`:                                                `job.notify[0].url_ref: is missing`,
		`{"format":1,"name":"n","kind":"verify","repository":"file:///b","notify":[{"channel":"ping","url_ref":"env:A","secret_ref":"env:B"}]}`:         `job.notify[0].secret_ref: has no meaning for "ping"`,
		`{"format":3,"kind":"hologram","lasers":true}`:                                                                                                  `job: format 3 is written by a newer version of pgbackup, this one reads up to 1: upgrade`,
		`{"format":1`: `cut off`,
	} {
		_, err := job.Parse([]byte(data))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", data, err, want)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "0123456789abcdef") {
			t.Errorf("%s: the error repeats a secret: %v", data, err)
		}
	}
	if _, err := job.Parse([]byte(`{"format":7}`)); !errors.Is(err, strictjson.ErrNewerFormat) {
		t.Error("a newer format is not recognisable")
	}
}

func TestEveryFaultIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := job.Parse([]byte(`{"format":1,"name":"A","kind":"x","repository":"ftp://x"}`))
	for _, want := range []string{"job.name", "job.kind", "job.repository"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
}

func TestRepositoriesAreReadFromURLs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		url       job.RepositoryURL
		canonical string
	}{
		"file:///var/backups/pg":        {job.RepositoryURL{Directory: "/var/backups/pg"}, "file:///var/backups/pg"},
		"file:///var//backups/pg/":      {job.RepositoryURL{Directory: "/var/backups/pg"}, "file:///var/backups/pg"},
		"file:///with%20space":          {job.RepositoryURL{Directory: "/with space"}, "file:///with%20space"},
		"s3://bucket":                   {job.RepositoryURL{Bucket: "bucket"}, "s3://bucket"},
		"s3://bucket/a/b/":              {job.RepositoryURL{Bucket: "bucket", Prefix: "a/b"}, "s3://bucket/a/b"},
		"s3://b-1.x/p?region=eu-west-1": {job.RepositoryURL{Bucket: "b-1.x", Prefix: "p", Region: "eu-west-1"}, "s3://b-1.x/p?region=eu-west-1"},
		"s3://bucket?path_style=true&endpoint=http://127.0.0.1:7070": {
			job.RepositoryURL{Bucket: "bucket", Endpoint: "http://127.0.0.1:7070", PathStyle: true}, "s3://bucket?endpoint=http%3A%2F%2F127.0.0.1%3A7070&path_style=true",
		},
	} {
		got, err := job.ParseRepository(text)
		if err != nil || got != want.url || got.String() != want.canonical {
			t.Errorf("%s: %+v, %s, %v", text, got, got, err)
		}
		if again, err := job.ParseRepository(got.String()); err != nil || again != got {
			t.Errorf("%s does not survive %s: %v", text, got, err)
		}
	}
}

func TestBadRepositoryURLsSayWhatToWrite(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                "is missing: give file:///directory or s3://bucket/prefix",
		"/var/backups":                    "has no scheme",
		"file://var/backups":              "three slashes, such as file:///var/backups",
		"file:///":                        "absolute path of a directory",
		"file:relative":                   "absolute path of a directory",
		"file:///b?region=x":              "takes no parameters",
		"s4://bucket/p":                   `unknown scheme "s4"`,
		"gs://bucket":                     "valid are file, s3",
		"s3://":                           "bucket",
		"s3://UPPER/p":                    "bucket",
		"s3://bucket/a//b":                "empty segments",
		"s3://bucket/../b":                "'..'",
		"s3://bucket?regoin=x":            `unknown parameter "regoin"; did you mean "region"?`,
		"s3://bucket?region=a&region=b":   "given twice",
		"s3://bucket?region=A%20B":        "such as us-east-1",
		"s3://bucket?endpoint=minio:9000": "such as https://s3.example.org",
		"s3://bucket?endpoint=https://u:hunter2@h": "without credentials",
		"s3://AKIA:hunter2@bucket/p":               "must not hold credentials",
		"s3://AKIA:hunter2@bucket:x/%zz":           "is not a URL",
		"s3://bucket?path_style=yes":               "true or false",
		"s3://bucket/p#x":                          "must not hold a '#'",
	} {
		_, err := job.ParseRepository(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v; want %s", text, err, want)
		}
	}
}

func TestEveryReferenceOfAJobIsListedWithItsField(t *testing.T) {
	t.Parallel()
	j := nightly()
	j.Notify = []job.Notification{{Channel: job.ChannelWebhook, URLRef: ref("ssm:/hook"), SecretRef: ref("env:HOOK_KEY")}}
	var got []string
	for _, r := range j.References() {
		got = append(got, r.Field+"="+r.Ref.String())
	}
	want := "key_ref=env:BACKUP_KEY logical.server.password_ref=file:/etc/pgbackup/db.json#password notify[0].url_ref=ssm:/hook notify[0].secret_ref=env:HOOK_KEY"
	if strings.Join(got, " ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, " "), want)
	}
}

func TestEveryKindHasItsCommandLine(t *testing.T) {
	t.Parallel()
	for _, kind := range job.Kinds() {
		if len(job.Kind(kind).Words()) == 0 {
			t.Errorf("%s has none", kind)
		}
	}
	if job.KindVerify.MakesPoints() || !job.KindLogical.NeedsTools() || job.KindRDSSnapshot.NeedsTools() || !job.KindFiles.MakesPoints() {
		t.Error("a kind is described wrongly")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(nightlyCanonical))
	f.Add([]byte(`{"format":1,"name":"n","kind":"verify","repository":"file:///b"}`))
	f.Add([]byte(`{"format":1,"name":"n","kind":"rotate","policy":"p","repository":"s3://bucket/a?endpoint=http://h"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		j, err := job.Parse(data)
		if err != nil {
			return
		}
		again, err := job.Parse(j.Canonical())
		if err != nil || again.Digest() != j.Digest() {
			t.Fatalf("%s does not survive its canonical form %s: %v", data, j.Canonical(), err)
		}
	})
}
