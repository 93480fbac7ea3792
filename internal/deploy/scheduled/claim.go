package scheduled

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
)

// ErrTaken: a working deployment of that name is there, and it is another one.
var ErrTaken = errors.New("is there already, and is the schedule of another job or of other settings")

// CheckFree holds that a new deployment takes nothing over: ErrTaken when a
// schedule of its name is there and anything differs from want, the document of
// the new one. The schedule is made last, so that without it what is there is half
// of a deployment that broke off, and is finished; a whole one that is the same is
// that of an apply that ended before Terraform noted it. read gives the document
// of what is there.
func (a *Account) CheckFree(ctx context.Context, p Parts, want string, read func(ctx context.Context, document string) (string, error)) error {
	_, _, err := a.Schedules.Read(ctx, p.Name, p.Name)
	if errors.Is(err, awsapi.ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := a.Schedules.CheckGroup(ctx, p.Name, ""); err != nil && !errors.Is(err, awsapi.ErrGone) {
		return err
	}
	if is, err := read(ctx, want); err != nil || is == want {
		return err
	}
	return fmt.Errorf("EventBridge schedule (%s) %w", p.Name, ErrTaken)
}

// made is how to remove what was made, in the order in which it was.
type made []func(ctx context.Context) error

// note remembers how to remove what was made.
func (a *Account) note(is bool, err error, remove func(ctx context.Context) error) error {
	if is {
		a.Made(remove)
	}
	return err
}

// Made adds something that Undo removes.
func (a *Account) Made(remove func(ctx context.Context) error) { a.made = append(a.made, remove) }

// Undo removes what was made here and was not there before, the last first. What
// cannot be removed does not keep the rest from it.
func (a *Account) Undo(ctx context.Context) error {
	var errs []error
	for _, remove := range slices.Backward(a.made) {
		if err := remove(ctx); err != nil && !errors.Is(err, awsapi.ErrGone) {
			errs = append(errs, err)
		}
	}
	a.made = nil
	return errors.Join(errs...)
}
