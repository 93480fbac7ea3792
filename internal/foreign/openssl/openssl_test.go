package openssl

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

const secret = "correct horse"

// enc encrypts with the real program.
func enc(t testing.TB, plain []byte, args ...string) []byte {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatal("the program openssl is needed: apt-get install openssl")
	}
	cmd := exec.Command(path, append([]string{"enc", "-aes-256-cbc", "-salt", "-pass", "stdin"}, args...)...)
	in := filepath.Join(t.TempDir(), "in")
	cmd.Args = append(cmd.Args, "-in", in)
	if err := os.WriteFile(in, plain, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd.Stdin = strings.NewReader(secret + "\n")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	return out
}

func TestWhatOpensslWroteIsReadWhateverItsSize(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 15, 16, 17, bufferSize - 1, bufferSize, bufferSize + 1, 3*bufferSize + 5} {
		plain := bytes.Repeat([]byte("0123456789abcde"), size/15+1)[:size]
		for i, args := range [][]string{{"-pbkdf2"}, {"-md", "sha256"}, {"-md", "md5"}, {"-pbkdf2", "-iter", "1234"}} {
			d := Derivations(0)[min(i, 2)]
			if i == 3 {
				d = Derivations(1234)[0]
			}
			r, err := NewReader(iotest.HalfReader(bytes.NewReader(enc(t, plain, args...))), []byte(secret), d)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%d bytes, %q: %d bytes, %v", size, args, len(got), err)
			}
		}
	}
}

func TestACutEndAndAWrongPassphraseAreErrors(t *testing.T) {
	t.Parallel()
	whole := enc(t, bytes.Repeat([]byte("row\n"), 100_000), "-pbkdf2")
	d := Derivations(0)[0]
	for _, cut := range []int{len(whole) - 1, len(whole) - 16, len(whole) / 2, 16} {
		r, err := NewReader(bytes.NewReader(whole[:cut]), []byte(secret), d)
		if err == nil {
			_, err = io.ReadAll(r)
		}
		// A cut between two blocks can leave what looks like padding, one time in 256.
		if !errors.Is(err, ErrPadding) {
			t.Errorf("cut to %d: %v", cut, err)
		}
	}
	for _, cut := range []int{0, 7, 15} {
		if _, err := NewReader(bytes.NewReader(whole[:cut]), []byte(secret), d); !errors.Is(err, ErrNotEncrypted) {
			t.Errorf("cut to %d: %v", cut, err)
		}
	}
	r, err := NewReader(bytes.NewReader(whole), []byte("wrong"), d)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err == nil && bytes.HasPrefix(got, []byte("row")) {
		t.Error("a wrong passphrase gives the content")
	}
}
