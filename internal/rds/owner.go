package rds

import (
	"errors"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	api "github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/metric"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// ErrOtherPlace: a snapshot belongs to the repository of this id at another place.
// One of the two is a copy, or it was moved.
var ErrOtherPlace = errors.New("belongs to this repository at another place")

// owner is a repository as the tags of its snapshots name it. The id alone is not
// enough: a copy and a replica have it too, and must not delete what the original
// still needs.
type owner struct{ id, place string }

func ownerOf(r *repo.Repository) owner { return owner{r.ID(), place(r.URL())} }

// place is the value of the tag awsapi.TagRepository for the repository at a URL.
func place(url string) string {
	if at, err := location.Parse(url); err == nil {
		url = metric.Repository(at)
	}
	return tagValue(url)
}

// ours reports whether a snapshot was made for a source of this repository.
func (o owner) ours(s api.Snapshot) bool {
	return o.sameID(s) && s.Tags[awsapi.TagRepository] == o.place
}

// sameID reports that of this repository or a copy of it.
func (o owner) sameID(s api.Snapshot) bool {
	return s.Type == api.Manual && awsapi.Ours(s.Tags) && s.Tags[TagRepositoryID] == o.id && s.Tags[TagPoint] != ""
}

// Point is the id of the recovery point that a snapshot was made for, and the id of
// the repository; "" for a snapshot that pgbackup did not make.
func Point(s api.Snapshot) (id, repositoryID string) {
	if (owner{id: s.Tags[TagRepositoryID]}).sameID(s) {
		return s.Tags[TagPoint], s.Tags[TagRepositoryID]
	}
	return "", ""
}
