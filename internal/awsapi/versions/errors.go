package versions

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/s3"
)

// fail words an error of the SDK in one line, with the port's type. What a code
// means is for s3.Explain to say, but for what only versions know.
func (o *Object) fail(ctx context.Context, what string, err error) error {
	if ended := ctx.Err(); ended != nil {
		return fmt.Errorf("%s %s: %w", what, o.URL(), ended)
	}
	code, status := s3.Answer(err)
	said := fmt.Sprintf("%s, HTTP %d", code, status)
	explained := s3.Explain(err, o.region)
	switch {
	case code == "MethodNotAllowed": // reading a delete marker by its id
		explained = fmt.Errorf("%w (this version is a deletion: %s)", objstore.ErrNotFound, said)
	case code == "NoSuchVersion", status == http.StatusBadRequest && badVersion(explained):
		explained = fmt.Errorf("%w (no version has this id: %s)", objstore.ErrNotFound, said)
	case code == "AccessDenied":
		explained = fmt.Errorf("%w: allow this identity s3:ListBucketVersions, GetObject, GetObjectVersion and, to restore, PutObject and DeleteObject of the lock (%s)", objstore.ErrDenied, said)
	case status == http.StatusConflict && (what == "write" || what == "create"):
		explained = fmt.Errorf("%w (%s)", objstore.ErrPrecondition, said)
	}
	return fmt.Errorf("%s %s: %w", what, o.URL(), explained)
}

// badVersion: the server says that an id can not be one of a version.
func badVersion(err error) bool {
	text := strings.ToLower(err.Error())
	return strings.Contains(text, "version id") || strings.Contains(text, "versionid")
}

func plain(etag *string) string {
	if etag == nil {
		return ""
	}
	return strings.Trim(*etag, `"`)
}

// sortNewestFirst keeps the server's order, which knows more than the seconds of
// Modified, except that versions and delete markers come in two lists.
func sortNewestFirst(versions []Version) {
	slices.SortStableFunc(versions, func(a, b Version) int {
		switch {
		case a.Latest != b.Latest && a.Latest:
			return -1
		case a.Latest != b.Latest:
			return 1
		}
		return b.Modified.Compare(a.Modified)
	})
}
