package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/versions"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// stateLock is the content of <key>.tflock, as Terraform and OpenTofu write it
// with use_lockfile. Source: internal/states/statemgr/locker.go of both.
type stateLock struct {
	ID        string
	Operation string
	Info      string
	Who       string
	Version   string
	Created   time.Time
	Path      string
}

const maxLock = 64 << 10 // bytes

// lockState takes the lock of a state file. The returned function gives it back.
func (a *app) lockState(ctx context.Context, o *versions.Object) (unlock func(), err error) {
	lock := o.Beside(".tflock")
	id := strings.ToLower(rand.Text())
	data, err := json.Marshal(stateLock{ID: id, Operation: "pgbackup-runner state restore", Who: by(), Version: runnerVersion(), Created: a.now().UTC(), Path: strings.TrimPrefix(o.URL(), "s3://")})
	if err != nil {
		return nil, err
	}
	err = lock.Create(ctx, data)
	switch {
	case errors.Is(err, objstore.ErrUnsupported):
		// Nobody has the lock, and this server lets nobody take it.
		a.warn("the lock of the state can not be taken on this server; the state is only written if nobody changed it meanwhile")
		return func() {}, nil
	case errors.Is(err, objstore.ErrPrecondition):
		return nil, exitcode.Errorf(exitcode.Locked, "%s is locked%s; wait for it, or run `terraform force-unlock` if it is dead", o.URL(), lockedBy(ctx, lock))
	case err != nil:
		return nil, fmt.Errorf("lock the state: %w", err)
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		if err := giveBack(ctx, lock, id); err != nil {
			a.log.Warn("the lock of the state was not given back: "+printable(oneLine(err.Error())), "lock", id)
		}
	}, nil
}

// giveBack removes the lock if it is still the one with this id: somebody may have
// forced it open meanwhile, and somebody else may hold it by now.
func giveBack(ctx context.Context, lock *versions.Object, id string) error {
	switch found, err := readLock(ctx, lock); {
	case errors.Is(err, objstore.ErrNotFound):
		return errors.New("somebody removed it meanwhile")
	case err != nil:
		return fmt.Errorf("%w; run `terraform force-unlock %s`", err, id)
	case found.ID != id:
		return fmt.Errorf("somebody forced it open meanwhile, and it is held%s now", found.holder())
	}
	if err := lock.Remove(ctx); err != nil {
		return fmt.Errorf("%w; run `terraform force-unlock %s`", err, id)
	}
	return nil
}

func readLock(ctx context.Context, lock *versions.Object) (found stateLock, err error) {
	data, _, err := lock.Read(ctx, "", maxLock)
	if err != nil {
		return found, err
	}
	if err := json.Unmarshal(data, &found); err != nil {
		return found, fmt.Errorf("read %s: it is no lock of Terraform's: %w", lock.URL(), err)
	}
	return found, nil
}

// lockedBy says who holds the lock, as far as it can be read.
func lockedBy(ctx context.Context, lock *versions.Object) string {
	found, err := readLock(ctx, lock)
	if err != nil {
		return ""
	}
	return found.holder()
}

func (l stateLock) holder() string {
	if l.Who == "" {
		return ""
	}
	return fmt.Sprintf(" by %.100s since %s (%.60s, lock %.60s)", printable(l.Who), stamp(l.Created), printable(l.Operation), printable(l.ID))
}
