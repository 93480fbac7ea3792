// Package location is the written place of a repository, as the provider's ids
// and the runner's --repository have it, and the way from there to an open
// object store.
//
// What lives here: hints for what people write instead, the form of a policy's
// id, and choosing and wrapping the adapter. What must not: repositories
// themselves (package repo) and the grammar of the URL, which the job file
// shares (package job).
package location

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
)

// Location is a parsed place: file:///directory or
// s3://bucket/prefix?region=…&endpoint=…&path_style=true. Its String is the
// canonical form and holds no secret.
type Location = job.RepositoryURL

// Parse reads the place of a repository. The error for something that is almost
// one shows the form it should have.
func Parse(text string) (Location, error) {
	at, err := job.ParseRepository(text)
	if err == nil {
		return at, nil
	}
	if form := meant(text); form != "" {
		return Location{}, fmt.Errorf("repository %q: write it as %s", text, form)
	}
	return Location{}, fmt.Errorf("repository: %w", err)
}

// meant returns the valid form of a common slip, "" when none is recognised.
func meant(text string) string {
	if text == "" || strings.ContainsAny(text, "@\x00\n\r") { // may hold a password: not repeated
		return ""
	}
	form := ""
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return ""
	case u.Scheme == "" && u.Host == "" && u.RawQuery == "" && u.Fragment == "":
		form = directory(u.Path)
	case u.Scheme == "file" && u.Opaque != "":
		form = directory(u.Opaque)
	case u.Scheme == "file" && (u.Host == "." || u.Host == ".."):
		form = directory(u.Host + u.Path)
	case u.Scheme == "s3" && u.Host == "" && u.Opaque == "": // s3:/bucket and s3:///bucket
		bucket, prefix, _ := strings.Cut(strings.TrimLeft(u.Path, "/"), "/")
		form = (&url.URL{Scheme: "s3", Host: bucket, Path: "/" + prefix, RawQuery: u.RawQuery}).String()
	case u.Scheme == "s3" && u.Opaque != "":
		form = "s3://" + u.Opaque
	case (u.Scheme == "http" || u.Scheme == "https") && len(strings.Trim(u.Path, "/")) > 0 && u.RawQuery == "":
		form = "s3:/" + u.Path + "?" + url.Values{"endpoint": {u.Scheme + "://" + u.Host}, "path_style": {"true"}}.Encode()
	}
	if _, err := job.ParseRepository(form); err != nil {
		return ""
	}
	return form
}

func directory(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return ""
	}
	return Location{Directory: abs}.String()
}

// ErrNoPolicy: a policy's id without the policy's name.
var ErrNoPolicy = errors.New("names no policy")

// PolicyID is the id of a policy: where its repository is, and its name there.
type PolicyID struct {
	Repository Location
	Name       string
}

// ParsePolicyID reads <repository>#<policy name>.
func ParsePolicyID(id string) (PolicyID, error) {
	place, name, found := strings.Cut(id, "#")
	at, err := Parse(place)
	switch {
	case err != nil:
		return PolicyID{}, fmt.Errorf("policy id: %w", err)
	case !found || name == "":
		return PolicyID{}, fmt.Errorf("policy id %q %w: write %s#NAME", id, ErrNoPolicy, at)
	}
	if err := policy.ValidateName(name); err != nil {
		return PolicyID{}, fmt.Errorf("policy id: %w", err)
	}
	return PolicyID{Repository: at, Name: name}, nil
}

// String is the canonical form of the id.
func (p PolicyID) String() string { return p.Repository.String() + "#" + p.Name }
