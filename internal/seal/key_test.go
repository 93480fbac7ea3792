package seal

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestAKeyIsReadInEveryFormPeopleKeepThemIn(t *testing.T) {
	t.Parallel()
	raw := bytes.Repeat([]byte{0xfb, 0xff, 'k', 0x01}, 8) // has + and / in base64
	want, _ := keyOf(raw)
	for name, text := range map[string]string{
		"raw bytes":          string(raw),
		"raw with line end":  string(raw) + "\n",
		"hex":                hex.EncodeToString(raw),
		"upper-case hex":     strings.ToUpper(hex.EncodeToString(raw)),
		"hex with line end":  hex.EncodeToString(raw) + "\n",
		"base64":             base64.StdEncoding.EncodeToString(raw),
		"base64 unpadded":    base64.RawStdEncoding.EncodeToString(raw),
		"base64 for URLs":    base64.URLEncoding.EncodeToString(raw),
		"base64 with CR LF":  base64.StdEncoding.EncodeToString(raw) + "\r\n",
		"as it was encoded":  want.Encode(),
		"URLs, unpadded, sp": " " + base64.RawURLEncoding.EncodeToString(raw) + " ",
	} {
		got, err := ParseKey([]byte(text))
		if err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestWhatIsNoKeyIsRefusedWithoutRepeatingIt(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "\n", "hunter2-hunter2", strings.Repeat("ab", 31), strings.Repeat("ab", 33), strings.Repeat("zz", 32),
		base64.StdEncoding.EncodeToString(make([]byte, 31)), base64.StdEncoding.EncodeToString(make([]byte, 33)),
		// Bits beyond the last byte: another text would read as the same key.
		strings.TrimSuffix(base64.StdEncoding.EncodeToString(make([]byte, 32)), "A=") + "B=",
	} {
		k, err := ParseKey([]byte(text))
		if !errors.Is(err, ErrKeySize) {
			t.Errorf("%q: %v, %v; want ErrKeySize", text, k, err)
			continue
		}
		if text := strings.TrimSpace(text); text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("the error repeats the text: %v", err)
		}
	}
}

func TestAKeyNeverPrintsItself(t *testing.T) {
	t.Parallel()
	k := NewKey()
	secrets := []string{k.Encode(), hex.EncodeToString(k.bits()[:]), string(k.bits()[:]),
		strings.Trim(fmt.Sprint(k.bits()[:8]), "[]"), fmt.Sprintf("%#v", k.bits()[:])[8:40]} //nolint:staticcheck // the very text a careless Printf would show
	type hidden struct {
		k Key
		l Local
		r RepositoryKey
		w Wrapper
	}
	r := &RepositoryKey{key: k}
	point, _ := r.NewPointKey("p")
	values := []any{k, &k, []Key{k}, map[string]Key{"k": k}, struct{ K Key }{k}, Local{k}, &Local{k}, struct{ W Wrapper }{Local{k}},
		hidden{k, Local{k}, *r, Local{k}}, &hidden{k, Local{k}, *r, Local{k}}, r, *r, struct{ R *RepositoryKey }{r}, point, *point}
	check := func(how string, v any, out string) {
		for _, s := range secrets {
			if strings.Contains(out, s) {
				t.Errorf("%s of %T shows the key", how, v)
			}
		}
	}
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "%b", "%o", "%t"} {
			check(verb, v, fmt.Sprintf(verb, v))
		}
		out, err := json.Marshal(v)
		check("json", v, fmt.Sprint(string(out), err))
		for _, h := range []func(*bytes.Buffer) slog.Handler{
			func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
			func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
		} {
			var b bytes.Buffer
			slog.New(h(&b)).Info("message", "value", v)
			check("slog", v, b.String())
		}
	}
	if _, err := json.Marshal(k); err == nil {
		t.Error("a key was written to JSON")
	}
}

func TestTheZeroKeyIsNoKey(t *testing.T) {
	t.Parallel()
	if got := fmt.Sprint(Key{}); got != "[no key]" {
		t.Errorf("it prints %q", got)
	}
	if (Key{}).Equal(Key{}) {
		t.Error("it equals something")
	}
	defer func() {
		if recover() == nil {
			t.Error("it wrapped a key")
		}
	}()
	_, _ = Local{}.Wrap(t.Context(), []byte("x"), "x")
}
