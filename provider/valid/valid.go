// Package valid holds the attribute validators the resources share. Each of
// them asks the package that owns the rule, so that the provider accepts exactly
// what the runner accepts.
package valid

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode"

	fwpath "github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/identifier"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/schedule"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/timezone"
)

// text is a validator made of a function.
type text struct {
	describes string
	check     func(string) error
	// secret: the value may be one. The error is then not tied to the attribute,
	// because Terraform prints the line of the configuration it is tied to.
	secret bool
}

func (v text) Description(context.Context) string { return v.describes }

func (v text) MarkdownDescription(context.Context) string { return v.describes }

func (v text) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	err := v.check(req.ConfigValue.ValueString())
	switch {
	case err == nil:
	case v.secret:
		resp.Diagnostics.AddError("Invalid reference to a secret in "+attribute(req.Path), Sentence(err))
	default:
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid value for "+attribute(req.Path), Sentence(err))
	}
}

// attribute names an attribute as a configuration does: an element of a set has
// no name but that of its set.
func attribute(p fwpath.Path) string {
	if last, _ := p.Steps().LastStep(); last != nil {
		if _, element := last.(fwpath.PathStepElementKeyValue); element {
			return p.ParentPath().String()
		}
	}
	return p.String()
}

// Sentence is an error as the detail of a diagnostic: it begins with a capital
// letter, unless it begins with the name of an attribute or a path, and ends
// with a full stop.
func Sentence(err error) string {
	s := err.Error()
	word, _, _ := strings.Cut(s, " ")
	if s != "" && !strings.ContainsAny(word, "_/.:=") {
		s = strings.ToUpper(s[:1]) + s[1:]
	}
	if !strings.HasSuffix(s, ".") && !strings.HasSuffix(s, "?") {
		s += "."
	}
	return s
}

// Name holds the rule for names of policies and schedules.
func Name() validator.String {
	return text{describes: "lower-case letters, digits and hyphens, at most 63", check: func(s string) error {
		if err := identifier.Check(s); err != nil {
			return fmt.Errorf("name %w", err)
		}
		return nil
	}}
}

// Duration accepts a length of time such as 24h, 7d or 1y6mo, not zero.
func Duration() validator.String {
	return text{describes: "a length of time such as 24h, 7d or 1y6mo", check: func(s string) error {
		d, err := duration.Parse(s)
		if err == nil && d.IsZero() {
			return errors.New("is no time at all: leave the attribute out instead")
		}
		return err
	}}
}

// ExactDuration is Duration without months and years, whose length varies.
func ExactDuration() validator.String {
	return text{describes: "a length of time such as 90m, 24h or 2d", check: func(s string) error {
		d, err := duration.Parse(s)
		if err != nil {
			return err
		}
		if _, exact := d.Exact(); !exact {
			return errors.New("goes by the calendar: give it in d, h, m or s")
		}
		return nil
	}}
}

// Timezone accepts an IANA name.
func Timezone() validator.String {
	return text{describes: "an IANA time zone", check: func(s string) error {
		_, err := timezone.Load(s)
		return err
	}}
}

// Cron accepts five cron fields or a shorthand.
func Cron() validator.String {
	return text{describes: "five cron fields", check: func(s string) error {
		_, err := schedule.Parse(s, "")
		return err
	}}
}

// Secret accepts a reference to a secret, never a secret.
func Secret() validator.String {
	return text{describes: "a reference to a secret, such as secretsmanager:NAME, env:NAME or file:/path", secret: true, check: func(s string) error {
		_, err := secretref.Parse(s)
		if errors.Is(err, secretref.ErrNotReference) {
			return fmt.Errorf("%w: write secretsmanager:NAME, ssm:NAME, env:NAME or file:/path, never the secret itself", secretref.ErrNotReference)
		}
		return err
	}}
}

// Repository accepts the id of a repository.
func Repository() validator.String {
	return text{describes: "the id of a pgbackup_repository", check: func(s string) error {
		_, err := location.Parse(s)
		return err
	}}
}

// Policy accepts the id of a policy.
func Policy() validator.String {
	return text{describes: "the id of a pgbackup_policy", check: func(s string) error {
		_, err := location.ParsePolicyID(s)
		return err
	}}
}

// AbsolutePath accepts a clean absolute path; the error for another one shows
// the example.
func AbsolutePath(example string) validator.String {
	return text{describes: "an absolute path", check: func(s string) error {
		switch {
		case !path.IsAbs(s):
			return fmt.Errorf("give an absolute path, such as %q; abspath() makes one of a relative path", example)
		case path.Clean(s) != s:
			return errors.New("write it as \"" + path.Clean(s) + "\"")
		case s == "/":
			return errors.New("the root of the file system cannot be meant")
		case strings.ContainsFunc(s, unicode.IsControl):
			return errors.New("control characters are not allowed in a path")
		}
		return nil
	}}
}

// Architecture accepts an architecture there is a runner for.
func Architecture() validator.String {
	return text{describes: "x86_64 or arm64", check: func(s string) error {
		_, err := runnerdist.ParseArch(s)
		return err
	}}
}

// Release accepts the release of a runner.
func Release() validator.String {
	return text{describes: "the release of a pgbackup_runner", check: func(s string) error {
		_, err := runnerdist.ParseRelease(s)
		return err
	}}
}
