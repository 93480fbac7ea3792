package foreign

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/foreign/openssl"
)

// maxLayers bounds how many wrappings are taken off.
const maxLayers = 8

// zstdWindow is the most memory that a zstd frame may ask for, in bytes: what zstd
// itself gives without --long.
const zstdWindow = 128 << 20

// Key opens what is encrypted.
type Key struct {
	// Passphrase is asked for when something is encrypted; nil is none. Its result
	// is not kept.
	Passphrase func(ctx context.Context) ([]byte, error)
	// Iterations of PBKDF2; 0 is what openssl enc -pbkdf2 does without -iter.
	Iterations int
}

// stream is a dump with everything around it taken off.
type stream struct {
	*bufio.Reader
	format Format
	layers []string // outermost first
	// encrypted: nothing proves that the content was not changed.
	encrypted bool
	close     []func()
}

// Close frees what the wrappings hold. The reader under all stays open.
func (s *stream) Close() {
	for i := len(s.close) - 1; i >= 0; i-- {
		s.close[i]()
	}
}

// unwrap finds out what r is and takes off what it is in.
func unwrap(ctx context.Context, r io.Reader, key Key) (*stream, error) {
	s := &stream{Reader: bufio.NewReaderSize(r, 64<<10)}
	for range maxLayers {
		head, err := s.Peek(headSize)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, s.fail(explain(err))
		}
		g := recognise(head)
		if g.format != "" {
			s.format = g.format
			if bytes.HasPrefix(head, utf8Mark) {
				_, err = s.Discard(len(utf8Mark))
			}
			return s, ignoreEOF(err)
		}
		if g.wrapping == "" {
			err := fmt.Errorf("%w: %s", ErrUnknown, g.why)
			if s.encrypted {
				err = fmt.Errorf("%w: %s", ErrPassphrase, g.why)
			}
			return nil, s.fail(err)
		}
		if err := s.unwrapOne(ctx, g.wrapping, key); err != nil {
			return nil, s.fail(fmt.Errorf("%s: %w", g.wrapping, explain(err)))
		}
	}
	return nil, s.fail(fmt.Errorf("%w: it is wrapped more than %d times", ErrHostile, maxLayers))
}

func (s *stream) fail(err error) error {
	s.Close()
	return err
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// unwrapOne takes one wrapping off.
func (s *stream) unwrapOne(ctx context.Context, w wrapping, key Key) error {
	var inner io.Reader
	name := string(w)
	switch w {
	case wrapGzip:
		z, err := gzip.NewReader(s.Reader)
		if err != nil {
			return err
		}
		inner = z
	case wrapZstd:
		z, err := zstd.NewReader(s.Reader, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdWindow))
		if err != nil {
			return err
		}
		s.close = append(s.close, z.Close)
		inner = z
	case wrapBzip2:
		inner = bzip2.NewReader(s.Reader)
	case wrapBase64:
		inner = base64.NewDecoder(base64.StdEncoding, s.Reader) // passes over line ends
	case wrapOpenSSL:
		s.encrypted = true
		var d openssl.Derivation
		var err error
		if inner, d, err = s.decrypt(ctx, key); err != nil {
			return err
		}
		name = "openssl aes-256-cbc " + d.Name
	}
	s.layers = append(s.layers, name)
	s.Reader = bufio.NewReaderSize(&explained{inner}, 64<<10)
	return nil
}

// decrypt finds the derivation with which something known comes out.
func (s *stream) decrypt(ctx context.Context, key Key) (io.Reader, openssl.Derivation, error) {
	var none openssl.Derivation
	if key.Iterations < 0 || key.Iterations > openssl.MaxIterations {
		return nil, none, fmt.Errorf("%d iterations: give a number from 1 to %d", key.Iterations, openssl.MaxIterations)
	}
	if key.Passphrase == nil {
		return nil, none, ErrNoPassphrase
	}
	passphrase, err := key.Passphrase(ctx)
	if err != nil {
		return nil, none, err
	}
	head, err := s.Peek(headSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, none, err
	}
	for _, d := range openssl.Derivations(key.Iterations) {
		clear, err := openssl.Prefix(head, passphrase, d)
		if err != nil {
			return nil, none, err
		}
		if !recognise(clear).known() {
			continue
		}
		inner, err := openssl.NewReader(s.Reader, passphrase, d)
		return inner, d, err
	}
	iterations := key.Iterations
	if iterations == 0 {
		iterations = openssl.DefaultIterations
	}
	return nil, none, fmt.Errorf("%w; tried -pbkdf2 with %d iterations (another -iter has to be given) and without -pbkdf2", ErrPassphrase, iterations)
}

// explained gives the errors of unpacking in our words.
type explained struct{ r io.Reader }

func (e *explained) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = explain(err)
	}
	return n, err
}

func explain(err error) error {
	var corrupt base64.CorruptInputError
	var structural bzip2.StructuralError
	switch {
	case errors.Is(err, ErrTruncated), errors.Is(err, errDamaged):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: %w", ErrTruncated, err)
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader), errors.Is(err, zstd.ErrCRCMismatch), errors.Is(err, zstd.ErrMagicMismatch),
		errors.Is(err, zstd.ErrReservedBlockType), errors.Is(err, zstd.ErrUnexpectedBlockSize), errors.As(err, &corrupt), errors.As(err, &structural):
		return fmt.Errorf("%w: %w", errDamaged, err)
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return fmt.Errorf("it needs more than %d MiB of memory to unpack: unpack it with `zstd -d --long=31` first: %w", zstdWindow>>20, err)
	}
	return err
}

var errDamaged = errors.New("the file is damaged")
