package job

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/identifier"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/nearest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/schedule"
)

var (
	// A source becomes one segment of a key; dots and upper case are common in
	// host names.
	sourcePattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9])?$`)
	rdsPattern    = regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9]|-[A-Za-z0-9]){0,62}$`)
	sslModes      = []string{"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}
)

// Validate reports everything wrong with the job at once. Each error begins
// with the path of the field.
func (j Job) Validate() error {
	var errs []error
	report := func(field string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("job.%s: %w", field, err))
		}
	}
	if j.Format != Format {
		report("format", fmt.Errorf("is %d: give %d", j.Format, Format))
	}
	report("name", identifier.Check(j.Name))
	report("kind", oneOf(string(j.Kind), Kinds()))
	if _, err := ParseRepository(j.Repository); err != nil {
		report("repository", err)
	}
	if j.Replica != "" {
		if at, err := ParseRepository(j.Replica); err != nil {
			report("replica", err)
		} else if at.IsDirectory() {
			report("replica", errors.New("is a directory: give the bucket that the repository is replicated to"))
		}
	}
	if j.Policy != "" {
		report("policy", identifier.Check(j.Policy))
	}
	if j.Source != "" && !sourcePattern.MatchString(j.Source) {
		report("source", fmt.Errorf("%.140q: letters, digits, '.', '_' and '-' are allowed, at most 128, beginning and ending with a letter or digit", j.Source))
	}
	if j.Verify != "" {
		report("verify", oneOf(string(j.Verify), []string{string(VerifyStreamed), string(VerifyStored)}))
	}
	j.validateKind(report)
	j.validateTold(report)
	j.Limits.validate(report)
	if j.Schedule != nil {
		_, err := schedule.Parse(j.Schedule.Cron, j.Schedule.Timezone)
		report("schedule", err)
	}
	return errors.Join(errs...)
}

func (s Server) validate(report func(string, error)) {
	for _, f := range []struct{ name, value string }{
		{"host", s.Host}, {"user", s.User}, {"sslrootcert", s.SSLRootCert}, {"sslcert", s.SSLCert},
		{"sslkey", s.SSLKey}, {"maintenance_database", s.MaintenanceDatabase},
	} {
		report(f.name, checkText(f.value))
	}
	if strings.Contains(s.Host, "://") || strings.Contains(s.Host, "@") {
		report("host", errors.New("must be a host name, an address or the directory of a socket, not a URL (its text is not repeated in case it holds a password)"))
	}
	if s.Port < 0 || s.Port > 65535 {
		report("port", fmt.Errorf("is %d: give a number from 1 to 65535, or leave it out", s.Port))
	}
	if s.SSLMode != "" {
		report("sslmode", oneOf(s.SSLMode, sslModes))
	}
	for _, f := range []struct{ name, value string }{{"sslrootcert", s.SSLRootCert}, {"sslcert", s.SSLCert}, {"sslkey", s.SSLKey}} {
		// libpq has the word "system" for the certificates of the host.
		if f.value != "" && !path.IsAbs(f.value) && (f.name != "sslrootcert" || f.value != "system") {
			report(f.name, fmt.Errorf("%q: give an absolute path, the runner may start in any directory", f.value))
		}
	}
	if s.SSLRootCert != "" && !s.SSLRootCertRef.IsZero() {
		report("sslrootcert_ref", errors.New("and sslrootcert both say which certificates to trust: leave one of them out"))
	}
	if (s.SSLCert == "") != (s.SSLKey == "") {
		report("sslcert", errors.New("sslcert and sslkey belong together: give both or neither"))
	}
}

func (l Limits) validate(report func(string, error)) {
	if l.UploadRate < 0 {
		report("limits.upload_rate", fmt.Errorf("is %d: give bytes a second, or leave it out for no limit", l.UploadRate))
	}
	for _, f := range []struct {
		name  string
		value duration.Duration
	}{{"max_duration", l.MaxDuration}, {"stall_timeout", l.StallTimeout}} {
		if _, exact := f.value.Exact(); !exact {
			report("limits."+f.name, fmt.Errorf("%q goes by the calendar: give it in d, h, m or s", f.value))
		}
	}
	if !l.MaxDuration.IsZero() && l.StallTimeout.Compare(l.MaxDuration) > 0 {
		report("limits.stall_timeout", fmt.Errorf("%q is longer than max_duration %q and could never be reached", l.StallTimeout, l.MaxDuration))
	}
}

func checkText(s string) error {
	if len(s) > 1024 {
		return fmt.Errorf("is %d bytes long: at most 1024 are allowed", len(s))
	}
	if strings.ContainsFunc(s, unicode.IsControl) {
		return errors.New("holds a control character")
	}
	return nil
}

func oneOf(got string, valid []string) error {
	if slices.Contains(valid, got) {
		return nil
	}
	if got == "" {
		return fmt.Errorf("is missing: give one of %s", strings.Join(valid, ", "))
	}
	return fmt.Errorf("%.64q is not known to this version%s", got, nearest.Suggestion(got, valid))
}
