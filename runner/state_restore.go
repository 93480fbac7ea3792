package main

import (
	"bufio"
	"context"
	"crypto/md5" //nolint:gosec // what Terraform keeps of a state in DynamoDB
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/versions"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/statefile"
)

// restoreStateFlags of the command state restore.
type restoreStateFlags struct {
	version       string
	currentSerial int64 // -1 when not given
	overDamaged   bool
	yes           bool
}

func newStateRestore(a *app) *cobra.Command {
	f := restoreStateFlags{}
	cmd := &cobra.Command{
		Use: "restore s3://bucket/key --version ID", Short: "Write an older version of a Terraform state file back as the newest", Args: cobra.ExactArgs(1),
		Long: `Write an older version of a state file back, byte for byte except its serial, which
becomes one more than that of the newest state: what Terraform needs to accept it.
Nothing is deleted: what was the newest stays as a version.

It is refused when the state is locked (with use_lockfile; a lock in a DynamoDB table
can not be seen from here), when it is another state (its lineage differs), when it
was changed meanwhile, and, with --current-serial, when the newest state is not the one
you looked at. A newest state that can not be read is only replaced with
--over-damaged: its lineage and serial are not known. An encrypted one is never
replaced by one that is not. While it works it holds the lock itself. It shows what is undone and
asks; where nobody can be asked it needs --yes.`,
		Example: "  pgbackup-runner state versions s3://acme-terraform/prod/terraform.tfstate\n" +
			"  pgbackup-runner state restore s3://acme-terraform/prod/terraform.tfstate --version 3HL4kqtJ --current-serial 42 --yes",
	}
	cmd.Flags().StringVar(&f.version, "version", "", "`ID` of the version to go back to, as `state versions` lists it")
	cmd.Flags().Int64Var(&f.currentSerial, "current-serial", -1, "the `SERIAL` of the newest state you saw: another one is not overwritten")
	cmd.Flags().BoolVar(&f.overDamaged, "over-damaged", false, "go back also from a newest state that can not be read")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "do not ask")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case f.version == "":
			return usagef("state restore: say which version with --version ID; `pgbackup-runner state versions` lists them")
		case cmd.Flags().Changed("current-serial") && f.currentSerial < 0:
			return usagef("--current-serial %d: serials count from 0", f.currentSerial)
		case !f.yes && (a.flags.json || !a.outTerminal || !isTerminal(a.in)):
			return usagef("state restore: nobody can be asked here: look at `pgbackup-runner policy diff --state`, then give --yes")
		}
		return a.stateRestore(cmd.Context(), args[0], f)
	}
	return cmd
}

// stateReturn is one way back: from the newest state to an older version.
type stateReturn struct {
	object  *versions.Object
	wanted  versions.Version
	data    []byte // of wanted
	state   statefile.State
	newest  *versions.Version // nil when the file is deleted
	current statefile.State   // the newest state that can be read
	unread  int               // newer ones that can not
	why     error             // why the newest of these can not
}

func (a *app) stateRestore(ctx context.Context, url string, f restoreStateFlags) error {
	o, err := a.openState(ctx, "state restore", url)
	if err != nil {
		return err
	}
	// Before the lock: one beside nothing would be litter.
	if _, err := o.List(ctx); err != nil {
		return stateMissing(err)
	}
	unlock, err := a.lockState(ctx, o)
	if err != nil {
		return err
	}
	defer unlock()
	back, err := findReturn(ctx, o, f)
	if err != nil {
		return err
	}
	if !f.yes {
		if err := a.askRestore(ctx, back); err != nil {
			return err
		}
	}
	// Above every serial there may have been, also those that can not be read.
	serial := back.current.Serial + 1 + int64(back.unread)
	data, err := statefile.WithSerial(back.data, serial)
	if err != nil {
		return fmt.Errorf("restore version %s of %s: %w", back.wanted.ID, o.URL(), err)
	}
	written, err := back.write(ctx, data)
	if err != nil {
		return err
	}
	return a.restoredState(back, written, data, serial)
}

// findReturn reads both ends of the way back and refuses what must not be.
func findReturn(ctx context.Context, o *versions.Object, f restoreStateFlags) (*stateReturn, error) {
	list, err := o.List(ctx)
	if err != nil {
		return nil, stateMissing(err)
	}
	back := &stateReturn{object: o}
	for _, v := range list {
		if v.ID == f.version {
			back.wanted = v
		}
	}
	switch {
	case back.wanted.ID == "":
		return nil, exitcode.Errorf(exitcode.NotFound, "%s has no version %.100q; `pgbackup-runner state versions` lists them", o.URL(), f.version)
	case back.wanted.Deleted:
		return nil, usagef("version %s of %s is a deletion: there is no state in it", f.version, o.URL())
	case back.wanted.Latest:
		return nil, fmt.Errorf("version %s of %s is the newest already: nothing to restore", f.version, o.URL())
	}
	if back.data, _, err = o.Read(ctx, f.version, statefile.MaxSize); err != nil {
		return nil, err
	}
	if back.state, err = statefile.Parse(back.data); err != nil {
		return nil, fmt.Errorf("version %s of %s is no state that can be restored: %w", f.version, o.URL(), err)
	}
	if err := back.findCurrent(ctx, list); err != nil {
		return nil, err
	}
	return back, back.check(f)
}

// findCurrent finds the newest state. A file that is damaged or deleted is what
// one goes back from, too: then it is the newest that can be read.
func (back *stateReturn) findCurrent(ctx context.Context, list []versions.Version) error {
	if !list[0].Deleted {
		back.newest = &list[0]
	}
	for _, v := range list {
		if v.Deleted {
			continue
		}
		data, _, err := back.object.Read(ctx, idToRead(v), statefile.MaxSize)
		if err == nil {
			back.current, err = statefile.Parse(data)
		} else if !isAny(err, versions.ErrTooLarge, objstore.ErrNotFound) {
			return err
		}
		if err == nil {
			return nil
		}
		if back.unread++; back.why == nil {
			back.why = err
		}
	}
	return fmt.Errorf("%s: no version can be read", back.object.URL())
}

func (back *stateReturn) check(f restoreStateFlags) error {
	switch {
	case back.unread > 0 && back.newest != nil && !f.overDamaged:
		return fmt.Errorf("%s: the newest version can not be read (%w), so whether it is of this state, and newer than all others, is not known; look at it, and give --over-damaged to replace it",
			back.object.URL(), back.why)
	case back.current.Encrypted && !back.state.Encrypted:
		return fmt.Errorf("%s: the newest version is encrypted and version %s is not: writing it back would put what is secret there in clear; use `tofu state push` with the encryption of your configuration",
			back.object.URL(), back.wanted.ID)
	case back.state.Lineage != back.current.Lineage:
		return fmt.Errorf("%s: version %s is of another state (lineage %q, the newest has %q): writing it back would mix up two; copy it to another key if it is wanted",
			back.object.URL(), back.wanted.ID, back.state.Lineage, back.current.Lineage)
	case f.currentSerial >= 0 && back.current.Serial > f.currentSerial:
		return fmt.Errorf("%s has serial %d by now, newer than the %d you saw: somebody applied meanwhile; look at what changed, then give --current-serial %d",
			back.object.URL(), back.current.Serial, f.currentSerial, back.current.Serial)
	case f.currentSerial >= 0 && back.current.Serial < f.currentSerial:
		return fmt.Errorf("%s has serial %d, older than the %d you saw: look again", back.object.URL(), back.current.Serial, f.currentSerial)
	}
	return nil
}

func (back *stateReturn) write(ctx context.Context, data []byte) (versions.Version, error) {
	if back.newest == nil {
		return versions.Version{ID: ""}, back.object.Create(ctx, data)
	}
	written, err := back.object.Write(ctx, data, back.newest.ETag)
	if errors.Is(err, objstore.ErrPrecondition) {
		return written, fmt.Errorf("%s was changed by somebody else meanwhile, nothing was written: look at it again: %w", back.object.URL(), err)
	}
	return written, err
}

// undone says what going back changes.
func (back *stateReturn) undone() []string {
	var lines []string
	if back.newest == nil {
		lines = append(lines, "the state file is deleted: it comes back")
	}
	if back.unread > 0 {
		lines = append(lines, fmt.Sprintf("%s can not be read: what they hold is not compared", plural(int64(back.unread), "newer version")))
	}
	for _, p := range compareStates(back.current, back.state, "") {
		for _, s := range p.Sentences {
			lines = append(lines, p.Address+": "+s)
		}
	}
	added, removed, changed := statefile.Resources(back.current, back.state)
	for _, kind := range []struct {
		what  string
		names []string
	}{
		{"known to the state again, though it may be gone", added},
		{"forgotten by the state, though it is there: Terraform would make it again", removed},
		{"as it was then", changed},
	} {
		for i, name := range kind.names {
			if i == 20 {
				lines = append(lines, fmt.Sprintf("and %d more: %s", len(kind.names)-i, kind.what))
				break
			}
			lines = append(lines, name+": "+kind.what)
		}
	}
	return lines
}

func (a *app) askRestore(ctx context.Context, back *stateReturn) error {
	a.say("Going back from serial %d to serial %d (written %s) of %s:", back.current.Serial, back.state.Serial, stamp(back.wanted.Modified), printable(back.object.URL()))
	lines := back.undone()
	if len(lines) == 0 {
		lines = []string{"no resource changes"}
	}
	for _, line := range lines {
		a.say("  %s", printable(line))
	}
	a.say("A lock in a DynamoDB table can not be seen: make sure that nobody applies.")
	fmt.Fprint(a.out, "Type yes to write it back: ")
	answer := make(chan string, 1)
	go func() { // a read of the terminal can not be stopped
		line, _ := bufio.NewReader(a.in).ReadString('\n')
		answer <- strings.TrimSpace(line)
	}()
	select {
	case text := <-answer:
		if text != "yes" {
			return errors.New("not confirmed: nothing was written")
		}
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (a *app) restoredState(back *stateReturn, written versions.Version, data []byte, serial int64) error {
	sum := md5.Sum(data) //nolint:gosec // see the import
	digest := hex.EncodeToString(sum[:])
	if a.flags.json {
		return a.printJSON(struct {
			State           string `json:"state"`
			RestoredVersion string `json:"restored_version_id"`
			RestoredSerial  int64  `json:"restored_serial"`
			VersionID       string `json:"version_id"`
			Serial          int64  `json:"serial"`
			Lineage         string `json:"lineage"`
			MD5             string `json:"md5"`
		}{back.object.URL(), back.wanted.ID, back.state.Serial, written.ID, serial, back.state.Lineage, digest})
	}
	a.say("Wrote version %s (serial %d) of %s back as serial %d.", back.wanted.ID, back.state.Serial, printable(back.object.URL()), serial)
	a.say("If the backend has a dynamodb_table, set Digest of its item <bucket>/<key>-md5 to %s, or Terraform refuses the state.", digest)
	a.say("Run `terraform plan` before anything else: it shows what differs from what is there.")
	return nil
}
