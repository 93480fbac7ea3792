package exitcode_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
)

func TestTheTableIsTheDocumentedOne(t *testing.T) {
	t.Parallel()
	names := []string{"done", "failed", "usage", "warnings", "not_found", "locked", "bad_backup"}
	table := exitcode.Table()
	if len(table) != len(names) {
		t.Fatalf("%d codes, want %d", len(table), len(names))
	}
	for i, e := range table {
		if int(e.Code) != i || e.Name != names[i] || e.Code.String() != names[i] || e.Meaning == "" || e.Advice == "" {
			t.Errorf("row %d is %+v", i, e)
		}
	}
	if got := exitcode.Code(99).String(); got != "exit code 99" {
		t.Error(got)
	}
}

func TestAnErrorCarriesItsCodeThroughWrapping(t *testing.T) {
	t.Parallel()
	locked := exitcode.With(exitcode.Locked, fmt.Errorf("take lease: %w", io.ErrUnexpectedEOF))
	wrapped := fmt.Errorf("backup nightly: %w", locked)
	if exitcode.Of(wrapped) != exitcode.Locked || !errors.Is(wrapped, io.ErrUnexpectedEOF) {
		t.Error("the code or the cause was lost")
	}
	if wrapped.Error() != "backup nightly: take lease: unexpected EOF" {
		t.Error(wrapped)
	}
	if exitcode.Of(exitcode.With(exitcode.Usage, wrapped)) != exitcode.Usage {
		t.Error("the outer code wins")
	}
	if exitcode.Of(nil) != exitcode.Done || exitcode.Of(io.EOF) != exitcode.Failed || exitcode.With(exitcode.Usage, nil) != nil {
		t.Error("no error is done, an error without a code is failed")
	}
	if err := exitcode.Errorf(exitcode.NotFound, "point %s: %w", "x", io.EOF); exitcode.Of(err) != exitcode.NotFound || !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}
