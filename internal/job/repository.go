package job

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/nearest"
)

// RepositoryURL is a repository as flags and job files name it: a directory or
// a prefix in a bucket.
type RepositoryURL struct {
	Directory string // absolute path, for file:///…

	Bucket    string // for s3://bucket/prefix
	Prefix    string // without slashes at its ends, "" for the whole bucket
	Region    string // ?region=
	Endpoint  string // ?endpoint=, URL of an S3-compatible service
	PathStyle bool   // ?path_style=true: the bucket goes into the path, not the host name
}

var (
	bucketPattern   = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	regionPattern   = regexp.MustCompile(`^[a-z0-9-]{1,63}$`)
	repositoryTypes = []string{"file", "s3"}
	s3Parameters    = []string{"region", "endpoint", "path_style"}
)

// ParseRepository reads file:///absolute/path or
// s3://bucket/prefix?region=…&endpoint=…&path_style=true. Errors never repeat
// the user part of a URL.
func ParseRepository(s string) (RepositoryURL, error) {
	if s == "" {
		return RepositoryURL{}, errors.New("is missing: give file:///directory or s3://bucket/prefix")
	}
	u, err := url.Parse(s)
	if err != nil {
		return RepositoryURL{}, errors.New("is not a URL: give file:///directory or s3://bucket/prefix")
	}
	if u.User != nil {
		return RepositoryURL{}, errors.New("must not hold credentials: they come from the environment or the role of the machine")
	}
	if u.Fragment != "" {
		return RepositoryURL{}, errors.New("must not hold a '#'")
	}
	switch u.Scheme {
	case "file":
		return parseDirectory(u)
	case "s3":
		return parseBucket(u)
	case "":
		return RepositoryURL{}, fmt.Errorf("%.200q has no scheme: give file:///directory or s3://bucket/prefix", s)
	}
	return RepositoryURL{}, fmt.Errorf("unknown scheme %.32q%s", u.Scheme, nearest.Suggestion(u.Scheme, repositoryTypes))
}

func parseDirectory(u *url.URL) (RepositoryURL, error) {
	switch {
	case u.Host != "" && u.Host != "localhost":
		return RepositoryURL{}, fmt.Errorf("file://%s…: a directory has three slashes, such as file:///%s%s", u.Host, u.Host, u.Path)
	case u.RawQuery != "":
		return RepositoryURL{}, errors.New("a directory takes no parameters: remove what follows '?'")
	case !path.IsAbs(u.Path) || path.Clean(u.Path) == "/":
		return RepositoryURL{}, errors.New("give the absolute path of a directory, such as file:///var/backups/pg")
	case strings.ContainsAny(u.Path, "\x00\n\r"):
		return RepositoryURL{}, errors.New("the path holds a control character")
	}
	return RepositoryURL{Directory: path.Clean(u.Path)}, nil
}

func parseBucket(u *url.URL) (RepositoryURL, error) {
	r := RepositoryURL{Bucket: u.Host, Prefix: strings.Trim(u.Path, "/")}
	if !bucketPattern.MatchString(r.Bucket) || strings.Contains(r.Bucket, "..") {
		return RepositoryURL{}, fmt.Errorf("bucket %.80q: 3 to 63 lower-case letters, digits, '.' and '-' are allowed", r.Bucket)
	}
	if r.Prefix != "" && (path.Clean(r.Prefix) != r.Prefix || strings.HasPrefix(r.Prefix, "..")) {
		return RepositoryURL{}, fmt.Errorf("prefix %.200q: empty segments, '.' and '..' are not allowed", r.Prefix)
	}
	if strings.ContainsFunc(r.Prefix, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return RepositoryURL{}, errors.New("the prefix holds a control character")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return RepositoryURL{}, errors.New("what follows '?' is not a list of name=value, joined by '&'")
	}
	for name, values := range query {
		if !slices.Contains(s3Parameters, name) {
			return RepositoryURL{}, fmt.Errorf("unknown parameter %.40q%s", name, nearest.Suggestion(name, s3Parameters))
		}
		if len(values) > 1 {
			return RepositoryURL{}, fmt.Errorf("parameter %s is given twice", name)
		}
	}
	if r.Region = query.Get("region"); r.Region != "" && !regionPattern.MatchString(r.Region) {
		return RepositoryURL{}, fmt.Errorf("region %.40q: give a name such as us-east-1", r.Region)
	}
	if r.Endpoint = query.Get("endpoint"); r.Endpoint != "" {
		e, err := url.Parse(r.Endpoint)
		if err != nil || (e.Scheme != "http" && e.Scheme != "https") || e.Host == "" || e.User != nil || e.RawQuery != "" || e.Fragment != "" {
			return RepositoryURL{}, errors.New("endpoint: give a URL such as https://s3.example.org, without credentials")
		}
	}
	switch v := query.Get("path_style"); v {
	case "", "false":
	case "true":
		r.PathStyle = true
	default:
		return RepositoryURL{}, fmt.Errorf("path_style %.16q: give true or false", v)
	}
	return r, nil
}

// IsDirectory reports whether the repository is a directory.
func (r RepositoryURL) IsDirectory() bool { return r.Directory != "" }

// String gives the URL in its one canonical form.
func (r RepositoryURL) String() string {
	if r.IsDirectory() {
		return (&url.URL{Scheme: "file", Path: r.Directory}).String()
	}
	u := url.URL{Scheme: "s3", Host: r.Bucket}
	if r.Prefix != "" {
		u.Path = "/" + r.Prefix
	}
	query := url.Values{}
	if r.Region != "" {
		query.Set("region", r.Region)
	}
	if r.Endpoint != "" {
		query.Set("endpoint", r.Endpoint)
	}
	if r.PathStyle {
		query.Set("path_style", "true")
	}
	u.RawQuery = query.Encode()
	return u.String()
}
