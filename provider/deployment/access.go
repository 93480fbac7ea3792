package deployment

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/connection"
)

// Terraform often runs as root and the job as another user, who then cannot
// write to a directory that Terraform made. Nothing fails before the first
// night, so the plan and the apply look and warn.

const (
	search = 0o1
	read   = 0o4
	use    = 0o7 // list, add and remove
)

// obstacle is a path that keeps a user from a file, and the command that helps.
type obstacle struct{ path, fix string }

// warnAboutAccess warns of what the job's user cannot reach on this host. What
// is not there yet is no matter.
func (m *Model) warnAboutAccess(ctx context.Context) (diags diag.Diagnostics) {
	blocks, _ := m.runOn(ctx)
	if blocks.Host == nil || blocks.Host.Directory.IsNull() {
		return nil
	}
	on := *blocks.Host
	name := on.User.ValueString()
	u, err := user.Lookup(name)
	if name == "" || err != nil || u.Uid == "0" {
		return nil
	}
	id, err := location.ParsePolicyID(m.Policy.ValueString())
	if err != nil {
		return nil
	}
	who := newAccount(u)
	report := func(what, target string, o *obstacle) {
		if o == nil {
			return
		}
		detail := fmt.Sprintf("%s is closed to %s. As root: %s", o.path, name, o.fix)
		if what == "repository" {
			detail += fmt.Sprintf("\n\nWhat Terraform run as root writes to the repository later belongs to root again: repeat this after an apply that changes the repository or a policy, or run Terraform as %s.", name)
		}
		detail += fmt.Sprintf("\n\nTo see whether the job can run: sudo -u %s pgbackup-runner doctor --job %s", name, placesOf(m.Name.ValueString(), on, m.always()).job)
		diags.AddAttributeWarning(path.Root("run_on").AtName("host").AtName("user"),
			fmt.Sprintf("%s: user %s cannot use the %s %s, the job will fail", m.Called(), name, what, target), detail)
	}
	keys := []string{m.KeyRef.ValueString()}
	if at := id.Repository; at.IsDirectory() {
		report("repository", at.Directory, who.repository(at.Directory, id.Name))
		if keys[0] == "" {
			if opened, err := connection.New(connection.Settings{}).OpenRepository(ctx, at, ""); err == nil {
				keys = opened.References
			}
		}
	}
	for _, key := range keys {
		if ref, err := secretref.Parse(key); err == nil && ref.Scheme == secretref.File {
			report("key file", ref.Value, who.file(ref.Value))
		}
	}
	return diags
}

// account is a user of the host with the groups it is in, by number.
type account struct {
	name, uid string
	groups    []string
}

func newAccount(u *user.User) account {
	groups, _ := u.GroupIds() // without, only fewer rights are seen
	return account{name: u.Username, uid: u.Uid, groups: append(groups, u.Gid)}
}

// repository looks at the directory and at what Terraform writes in it.
func (a account) repository(dir, policy string) *obstacle {
	o := a.reach(dir, use)
	if o == nil {
		files, _ := filepath.Glob(filepath.Join(dir, "keys", "*")) // the pattern is a good one
		revisions, _ := filepath.Glob(filepath.Join(dir, "policies", policy, "*"))
		for _, f := range append(append([]string{filepath.Join(dir, "repository.json")}, files...), revisions...) {
			if o = a.reach(f, read); o != nil {
				break
			}
		}
	}
	if o != nil && (o.path == dir || len(o.path) > len(dir)) {
		o.fix = fmt.Sprintf("chown -R %s: %s", a.name, dir)
	}
	return o
}

func (a account) file(name string) *obstacle {
	o := a.reach(name, read)
	if o != nil && o.path == name {
		o.fix = fmt.Sprintf("chown %s: %s", a.name, name)
	}
	return o
}

// reach finds what is between the user and a path, from the root downwards. ACLs
// are not looked at.
func (a account) reach(name string, need fs.FileMode) *obstacle {
	var above []string
	for p := name; p != filepath.Dir(p); p = filepath.Dir(p) {
		above = append(above, filepath.Dir(p))
	}
	slices.Reverse(above)
	for _, p := range above {
		if !a.may(p, search) {
			return &obstacle{p, fmt.Sprintf("chmod o+x %s", p)}
		}
	}
	if !a.may(name, need) {
		return &obstacle{path: name}
	}
	return nil
}

// may reports whether the mode of a path gives the user the rights; a path that
// is not there, or whose owner is not known, is not in the way.
func (a account) may(name string, need fs.FileMode) bool {
	st, err := os.Stat(name)
	if err != nil {
		return true
	}
	uid, gid, known := owner(st)
	shift := 0
	switch {
	case !known:
		return true
	case uid == a.uid:
		shift = 6
	case slices.Contains(a.groups, gid):
		shift = 3
	}
	return st.Mode().Perm()>>shift&need == need
}
