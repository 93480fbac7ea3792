package observe

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"
)

// buffer is a bytes.Buffer that a bar and a test may use at once.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestNothingIsDrawnWhereNobodyWatches(t *testing.T) {
	var out buffer
	s := NewScreen(&out, false)
	stop := s.Draw(func() Status { return Status{Step: "dumping", Done: 1, Total: 2} })
	time.Sleep(3 * refresh)
	stop()
	if _, err := s.Write([]byte("line\n")); err != nil || out.String() != "line\n" {
		t.Errorf("wrote %q, %v", out.String(), err)
	}
}

func TestABarShowsTheStepTheBytesAndTheTableAndLinesStayReadable(t *testing.T) {
	var out buffer
	s := NewScreen(&out, true)
	s.Draw(func() Status { return Status{Step: "dumping", Item: "public.orders", Done: 3 << 20, Total: 6 << 20} })
	time.Sleep(3 * refresh)
	if _, err := s.Write([]byte("a log line\n")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * refresh)
	s.Close()
	s.Close()
	for _, want := range []string{"dumping", "3.0 MiB", "6.0 MiB", "public.orders", "a log line\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not on the screen:\n%s", want, out.String())
		}
	}
}

func TestALongNameIsCutInTheMiddle(t *testing.T) {
	if got := shorten("schema.a_very_long_table_name_with_a_suffix", 20); len([]rune(got)) != 20 || !strings.HasPrefix(got, "schema.") || !strings.HasSuffix(got, "suffix") {
		t.Errorf("got %q", got)
	}
	if got := shorten("short", 20); got != "short" {
		t.Errorf("got %q", got)
	}
}
