package objstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Probe proves that the store keeps the promises commits and leases rest on: it
// writes a scratch object under prefix and tries each kind of conditional write
// that must fail. ErrUnsupported names the one that did not. The scratch object
// is removed again.
func Probe(ctx context.Context, s Store, prefix string) (err error) {
	key := "probe-" + strings.ToLower(rand.Text()[:12])
	if prefix != "" {
		key = strings.TrimSuffix(prefix, "/") + "/" + key
	}
	defer func() {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		_, aerr := s.AbortUploads(clean, key)
		if cerr := errors.Join(aerr, s.Delete(clean, key)); cerr != nil && err == nil {
			err = fmt.Errorf("probe %s: remove the scratch object: %w", s.URL(), cerr)
		}
	}()
	ignored := func(what string) error {
		return fmt.Errorf("probe %s: %w: it ignores %s, so two writers could overwrite each other; use a store that honours conditional writes",
			s.URL(), ErrUnsupported, what)
	}
	// refused turns the outcome of a write that must fail into a verdict.
	refused := func(what string, err error) error {
		switch {
		case errors.Is(err, ErrPrecondition):
			return nil
		case err == nil:
			return ignored(what)
		case errors.Is(err, ErrUnsupported):
			return fmt.Errorf("probe %s: %s: %w", s.URL(), what, err)
		default:
			return fmt.Errorf("probe %s for %s: %w", s.URL(), what, err)
		}
	}

	absent := PutOptions{Condition: Condition{IfAbsent: true}}
	first, err := s.Put(ctx, key, []byte("1"), absent)
	if err != nil {
		return fmt.Errorf("probe %s: write a scratch object: %w", s.URL(), err)
	}
	_, err = s.Put(ctx, key, []byte("2"), absent)
	if err := refused("If-None-Match on PutObject", err); err != nil {
		return err
	}
	if err := refused("If-None-Match on CompleteMultipartUpload", putParts(ctx, s, key, absent)); err != nil {
		return err
	}
	match := PutOptions{Condition: Condition{IfMatch: first.ETag}}
	if _, err = s.Put(ctx, key, []byte("three"), match); err != nil {
		return fmt.Errorf("probe %s: replace a scratch object with If-Match: %w", s.URL(), err)
	}
	_, err = s.Put(ctx, key, []byte("four"), match)
	return refused("If-Match on PutObject", err)
}

func putParts(ctx context.Context, s Store, key string, opts PutOptions) (err error) {
	up, err := s.Create(ctx, key, opts)
	if err != nil {
		return err
	}
	defer func() {
		if aerr := up.Abort(); aerr != nil && err == nil {
			err = aerr
		}
	}()
	if err := up.Part(ctx, 1, []byte("2")); err != nil {
		return err
	}
	_, err = up.Complete(ctx)
	return err
}
