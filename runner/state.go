package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/versions"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/parallel"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/statefile"
)

func newState(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "state", Short: "List the versions of a Terraform state file in S3, and go back to one",
		Long: `A state file in a versioned bucket has a history. versions lists it, restore writes an
older version back as the newest. What a state holds is never printed, except the
policies of this provider: a state holds passwords.`,
	}
	return group(cmd, newStateVersions(a), newStateRestore(a))
}

// openState is the state file that a URL means.
func (a *app) openState(ctx context.Context, what, text string) (*versions.Object, error) {
	at, err := job.ParseRepository(text)
	switch {
	case err != nil:
		return nil, usagef("%s: %w", what, err)
	case at.IsDirectory():
		return nil, usagef("%s: versions are kept by S3: give s3://bucket/key", what)
	case at.Prefix == "":
		return nil, usagef("%s: names a bucket and no object in it: give s3://bucket/path/terraform.tfstate", what)
	}
	if a.flags.endpoint != "" {
		at.Endpoint = a.flags.endpoint
	}
	if a.flags.region != "" {
		at.Region = a.flags.region
	}
	if at.Region == "" {
		at.Region = os.Getenv(envRegion)
	}
	return versions.Open(ctx, versions.Options{Bucket: at.Bucket, Key: at.Prefix, Region: at.Region, Endpoint: at.Endpoint, PathStyle: at.PathStyle})
}

// stateVersion is one version of a state file and what is in it.
type stateVersion struct {
	versions.Version
	state   statefile.State
	problem error // why it can not be read; nil for a deletion, too
}

// readable tells whether the state is known.
func (v *stateVersion) readable() bool { return v.problem == nil && !v.Deleted }

// stateReaders is how many versions are read at once: enough to hide the way
// there and back, and few, as each may have statefile.MaxSize bytes.
const stateReaders = 4

// readStates reads versions, newest first as they are listed. What can not be
// understood is a problem of that version alone.
func readStates(ctx context.Context, o *versions.Object, list []versions.Version) ([]stateVersion, error) {
	states := make([]stateVersion, len(list))
	err := parallel.Each(ctx, stateReaders, len(list), func(ctx context.Context, i int) error {
		states[i].Version = list[i]
		return states[i].read(ctx, o)
	})
	return states, err
}

// read fetches the version. The error is one that concerns all versions.
func (v *stateVersion) read(ctx context.Context, o *versions.Object) error {
	if v.Deleted {
		return nil
	}
	data, _, err := o.Read(ctx, idToRead(v.Version), statefile.MaxSize)
	switch {
	case err == nil:
		v.state, v.problem = statefile.Parse(data)
		return nil
	case isAny(err, versions.ErrTooLarge, objstore.ErrNotFound, objstore.ErrDenied): // gone meanwhile, or under a key of its own
		v.problem = err
		return nil
	}
	return err
}

// idToRead is what a version is read by: where there are no versions some servers
// list one as "null" and do not know it by that name.
func idToRead(v versions.Version) string {
	if v.Latest && v.ID == "null" {
		return ""
	}
	return v.ID
}

// newestOf bounds how many versions are read; older ones are counted.
func newestOf(list []versions.Version, limit int) (newest []versions.Version, older int) {
	if limit > 0 && len(list) > limit {
		return list[:limit], len(list) - limit
	}
	return list, 0
}

// unversioned warns of a bucket that keeps only the newest state.
func (a *app) unversioned(o *versions.Object, list []versions.Version) bool {
	if len(list) != 1 || list[0].ID != "null" && list[0].ID != "" {
		return false
	}
	a.warn(fmt.Sprintf("the bucket of %s keeps no versions: there is no state but the newest; switch versioning on", o.URL()))
	return true
}

const stateLimit = 200

func newStateVersions(a *app) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "versions s3://bucket/key", Short: "List the versions of a Terraform state file, newest first", Args: cobra.ExactArgs(1),
		Example: "  pgbackup-runner state versions 's3://acme-terraform/prod/terraform.tfstate?region=eu-west-1'",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.stateVersions(cmd.Context(), args[0], limit)
		},
	}
	limitFlag(cmd, &limit)
	return cmd
}

func limitFlag(cmd *cobra.Command, limit *int) {
	cmd.Flags().IntVar(limit, "limit", stateLimit, "read at most the newest `N` versions, 0 for all")
}

// listedState is a version in the document of `state versions --json`.
type listedState struct {
	VersionID        string    `json:"version_id"`
	At               time.Time `json:"at"`
	Bytes            int64     `json:"bytes"`
	Serial           *int64    `json:"serial"` // null when it can not be read
	Lineage          string    `json:"lineage"`
	TerraformVersion string    `json:"terraform_version"`
	Latest           bool      `json:"latest"`
	Deleted          bool      `json:"deleted"`
	Problem          string    `json:"problem,omitempty"`
}

func (v *stateVersion) listed() listedState {
	l := listedState{VersionID: v.ID, At: v.Modified, Bytes: v.Size, Latest: v.Latest, Deleted: v.Deleted}
	if v.problem != nil {
		l.Problem = oneLine(v.problem.Error())
	}
	if v.readable() {
		l.Serial, l.Lineage, l.TerraformVersion = &v.state.Serial, v.state.Lineage, v.state.TerraformVersion
	}
	return l
}

func (a *app) stateVersions(ctx context.Context, url string, limit int) error {
	o, list, older, warned, err := a.listStates(ctx, "state versions", url, limit)
	if err != nil {
		return err
	}
	listed := make([]listedState, len(list))
	for i := range list {
		listed[i] = list[i].listed()
		if p := listed[i].Problem; p != "" {
			a.warn(fmt.Sprintf("version %s can not be read: %s", list[i].ID, p))
			warned = true
		}
	}
	switch {
	case a.flags.json:
		err = a.printJSON(struct {
			State    string        `json:"state"`
			Versions []listedState `json:"versions"`
			Older    int           `json:"older"` // not read
		}{o.URL(), listed, older})
	case !a.flags.quiet:
		var rows [][]string
		for _, l := range listed {
			rows = append(rows, l.row())
		}
		if err = a.table([]string{"VERSION", "WRITTEN", "SIZE", "SERIAL", "LINEAGE", "WRITTEN BY", "STATE"}, rows); err == nil && older > 0 {
			a.say("%s not shown; see --limit.", plural(int64(older), "older version"))
		}
	}
	if err == nil && warned {
		return errWarned
	}
	return err
}

func (l listedState) row() []string {
	row := []string{l.VersionID, stamp(l.At), size(l.Bytes), "-", "-", "-", ""}
	if l.Serial != nil {
		row[3], row[4], row[5] = fmt.Sprint(*l.Serial), l.Lineage, "Terraform "+l.TerraformVersion
		if l.TerraformVersion == "" {
			row[5] = "-"
		}
	}
	switch {
	case l.Deleted:
		row[2], row[6] = "-", "deleted"
	case l.Problem != "":
		row[6] = "UNREADABLE"
	}
	if l.Latest {
		if row[6] != "" {
			row[6] += ", "
		}
		row[6] += "latest"
	}
	return row
}

// listStates lists and reads the versions of a state file.
func (a *app) listStates(ctx context.Context, what, url string, limit int) (o *versions.Object, states []stateVersion, older int, warned bool, err error) {
	if limit < 0 {
		return nil, nil, 0, false, usagef("--limit %d: give a number of versions, 0 for all", limit)
	}
	if o, err = a.openState(ctx, what, url); err != nil {
		return nil, nil, 0, false, err
	}
	list, err := o.List(ctx)
	if err != nil {
		return nil, nil, 0, false, stateMissing(err)
	}
	warned = a.unversioned(o, list)
	list, older = newestOf(list, limit)
	states, err = readStates(ctx, o, list)
	return o, states, older, warned, err
}

// stateMissing gives "not found" its exit code.
func stateMissing(err error) error {
	if errors.Is(err, objstore.ErrNotFound) {
		return notFound(err)
	}
	return err
}
