package repo

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
)

// victim is a small repository with one point, and what it must read as.
type victim struct {
	*Repository
	ref      Ref
	data     []byte
	manifest *Manifest
}

func newVictim(t *testing.T, r *Repository) victim {
	t.Helper()
	data := append(bytes.Repeat([]byte("1\tAda\t\\N\n"), 60), pseudorandom(9, 60)...)
	v := victim{Repository: r, data: data}
	v.ref = put(t, r, "app", pieces(data, 5), WriterOptions{chunksPerObject: 3})
	var err error
	if v.manifest, err = r.Manifest(t.Context(), v.ref); err != nil {
		t.Fatal(err)
	}
	return v
}

// read opens the repository anew and reads everything of the point both ways.
// Wrong bytes are a failure of the test; the error is for the caller to judge.
func (v victim) read(t *testing.T, how string) error {
	t.Helper()
	opts := OpenOptions{}
	if v.Sealed() {
		opts = withKey(outerKey)
	}
	r, err := Open(t.Context(), v.Store(), opts)
	if err != nil {
		return err
	}
	if r.Sealed() != v.Sealed() || r.ID() != v.ID() {
		t.Errorf("%s: the repository became another one", how)
	}
	m, err := r.Manifest(t.Context(), v.ref)
	if err != nil {
		return err
	}
	if diff := cmp.Diff(v.manifest, m); diff != "" {
		t.Errorf("%s: the manifest says something else:\n%s", how, diff)
	}
	var failed error
	for name, read := range map[string]func() ([]byte, error){
		"cat":   func() ([]byte, error) { return readAll(t.Context(), r, v.ref) },
		"range": func() ([]byte, error) { return readRange(t.Context(), r, v.ref) },
	} {
		got, err := read()
		if err == nil && !bytes.Equal(got, v.data) {
			t.Errorf("%s: %s delivers wrong bytes and no error", how, name)
		}
		if err != nil && !bytes.HasPrefix(v.data, got) {
			t.Errorf("%s: %s delivers wrong bytes before it fails", how, name)
		}
		failed = errors.Join(failed, err)
	}
	return failed
}

// isDamage tells the errors that say damage in so many words. A newer format is
// one when what was hit is the digit of a format.
func isDamage(err error) bool {
	return errors.Is(err, ErrDamaged) || errors.Is(err, ErrNewerFormat)
}

func TestAFlippedByteAnywhereIsReportedAndNeverDelivered(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, r *Repository) {
		v := newVictim(t, r)
		if err := v.read(t, "whole"); err != nil {
			t.Fatal(err)
		}
		harmless := 0
		for _, key := range keysOf(t, r.Store(), "") {
			if strings.HasPrefix(key, locksPrefix) {
				continue
			}
			good := raw(t, r.Store(), key)
			for n := range good {
				bad := bytes.Clone(good)
				bad[n] ^= byte(1 << (n % 8))
				overwrite(t, r.Store(), key, bad)
				err := v.read(t, key)
				switch {
				case err == nil && strings.HasSuffix(key, ".json"):
					harmless++ // encoding/json takes names in any case; read compares all values
				case err == nil:
					t.Errorf("%s: flipping byte %d of %d goes unnoticed", key, n, len(good))
				case !isDamage(err):
					t.Errorf("%s: flipping byte %d of %d: %v", key, n, len(good), err)
				}
			}
			overwrite(t, r.Store(), key, good)
		}
		if harmless > 100 {
			t.Errorf("%d flips were harmless, which is too many to believe", harmless)
		}
		if err := v.read(t, "restored"); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAnObjectCutAnywhereOrMadeLongerIsReported(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, r *Repository) {
		v := newVictim(t, r)
		for _, key := range keysOf(t, r.Store(), "") {
			good := raw(t, r.Store(), key)
			for n := 0; n < len(good); n += 3 {
				if n == 0 && key == v.ref.ManifestKey() {
					continue // a 0-byte manifest is a fence: no point
				}
				overwrite(t, r.Store(), key, good[:n])
				if err := v.read(t, key); !errors.Is(err, ErrDamaged) {
					t.Errorf("%s cut to %d of %d bytes: %v", key, n, len(good), err)
				} else if strings.HasPrefix(key, pointsPrefix) && !errors.Is(err, ErrTruncated) {
					t.Errorf("%s cut to %d of %d bytes is not called truncated: %v", key, n, len(good), err)
				}
			}
			for _, tail := range []string{"x", "{}", string(good)} {
				overwrite(t, r.Store(), key, append(bytes.Clone(good), tail...))
				if err := v.read(t, key); !errors.Is(err, ErrDamaged) {
					t.Errorf("%s with %d bytes more: %v", key, len(tail), err)
				}
			}
			if err := r.Store().Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
			err := v.read(t, key)
			if key == repositoryKey && !errors.Is(err, ErrNoRepository) || key == v.ref.ManifestKey() && !errors.Is(err, ErrNotFound) ||
				key != repositoryKey && key != v.ref.ManifestKey() && !errors.Is(err, ErrDamaged) {
				t.Errorf("%s missing: %v", key, err)
			}
			overwrite(t, r.Store(), key, good)
		}
	})
}

// frames cuts a stored object into its chunks.
func frames(t *testing.T, r *Repository, ref Ref, object []byte, ordinal uint32) [][]byte {
	t.Helper()
	c := newCodec(r.ID(), ref, nil)
	if r.Sealed() {
		m, err := r.OpenPoint(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		c = m.codec
	}
	var out [][]byte
	in := bytes.NewReader(object)
	for n := uint32(0); in.Len() > 0; n++ {
		f, _, _, err := c.readFrame(in, nil, ordinal, n)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, bytes.Clone(f))
	}
	return out
}

func TestChunksInTheWrongPlaceAreNamedAsThat(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, r *Repository) {
		v := newVictim(t, r)
		other := put(t, r, "app", pieces(v.data, 5), WriterOptions{chunksPerObject: 3})
		key := func(ref Ref, n string) string { return ref.DataPrefix() + "archive.000" + n }
		first, second := raw(t, r.Store(), key(v.ref, "0")), raw(t, r.Store(), key(v.ref, "1"))
		f, g := frames(t, r, v.ref, first, 0), frames(t, r, v.ref, second, 1)
		alien := frames(t, r, other, raw(t, r.Store(), key(other, "0")), 0)

		// relabelled is g's chunk with a header that claims the place of f's.
		relabelled := bytes.Clone(g[1])
		copy(relabelled[:24], f[1][:24])

		for what, c := range map[string]struct {
			object []byte
			want   error
		}{
			"chunks reordered":                {bytes.Join([][]byte{f[1], f[0], f[2]}, nil), ErrMisplaced},
			"a chunk twice":                   {bytes.Join([][]byte{f[0], f[0], f[2]}, nil), ErrDamaged},
			"a chunk left out":                {bytes.Join([][]byte{f[0], f[2]}, nil), ErrTruncated},
			"a chunk of another object":       {bytes.Join([][]byte{f[0], g[1], f[2]}, nil), ErrDamaged},
			"another object":                  {second, ErrDamaged},
			"a chunk of another point":        {bytes.Join([][]byte{f[0], alien[1], f[2]}, nil), ErrDamaged},
			"another point's object":          {raw(t, r.Store(), key(other, "0")), ErrOtherPoint},
			"a chunk with an edited position": {bytes.Join([][]byte{f[0], relabelled, f[2]}, nil), ErrDamaged},
		} {
			overwrite(t, r.Store(), key(v.ref, "0"), c.object)
			if err := v.read(t, what); !errors.Is(err, c.want) {
				t.Errorf("%s: %v; want %v", what, err, c.want)
			}
		}
		overwrite(t, r.Store(), key(v.ref, "0"), first)
		if err := v.read(t, "restored"); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAnEditedManifestOfASealedRepositoryIsRefused(t *testing.T) {
	t.Parallel()
	v := newVictim(t, newRepo(t, newStore(t), true))
	edit := func(change func(*Manifest)) []byte {
		m := *v.manifest
		change(&m)
		// As somebody without the key would: everything but the HMAC is right.
		data, err := encodeManifest(&m, nil)
		if err != nil {
			t.Fatal(err)
		}
		var was, is envelope
		if err := errors.Join(json.Unmarshal(raw(t, v.Store(), v.ref.ManifestKey()), &was), json.Unmarshal(data, &is)); err != nil {
			t.Fatal(err)
		}
		is.HMAC = was.HMAC
		data, err = json.Marshal(is)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	good := raw(t, v.Store(), v.ref.ManifestKey())
	for what, bad := range map[string][]byte{
		"fewer objects": edit(func(m *Manifest) { m.Objects = m.Objects[1:] }),
		"another size":  edit(func(m *Manifest) { m.Totals.Rows++ }),
	} {
		overwrite(t, v.Store(), v.ref.ManifestKey(), bad)
		if err := v.read(t, what); !errors.Is(err, seal.ErrEdited) || !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), v.ref.ManifestKey()) {
			t.Errorf("%s: %v", what, err)
		}
	}
	overwrite(t, v.Store(), v.ref.ManifestKey(), good)

	moved := v.ref
	moved.ID = NewID(clock)
	overwrite(t, v.Store(), moved.ManifestKey(), good)
	if _, err := v.Manifest(t.Context(), moved); !errors.Is(err, ErrDamaged) {
		t.Errorf("a copied manifest: %v", err)
	}
}

func TestAHostileManifestNamesNoObjectElsewhere(t *testing.T) {
	t.Parallel()
	v := newVictim(t, newRepo(t, newStore(t), false))
	for _, name := range []string{"../x", "a/b", "", ".", "..", strings.Repeat("a", 65), "a b", "archive.0001"} {
		m := *v.manifest
		m.Objects = append([]Object(nil), m.Objects...)
		m.Objects[0].Name = name
		data, err := encodeManifest(&m, nil)
		if err != nil {
			t.Fatal(err)
		}
		overwrite(t, v.Store(), v.ref.ManifestKey(), data)
		if _, err := v.Manifest(t.Context(), v.ref); !errors.Is(err, ErrDamaged) {
			t.Errorf("an object called %q: %v", name, err)
		}
	}
}

func TestBrokenMemoryIsFoundBeforeAnybodyReliesOnTheBackup(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, r *Repository) {
		p, err := r.NewPoint("app", "logical", clock, WriterOptions{VerifyStored: true})
		if err != nil {
			t.Fatal(err)
		}
		plain := pseudorandom(10, 700<<10)
		pos := seal.Position{Chunk: 4}
		enc := p.codec.newEncoder()
		good := p.codec.encode(enc, nil, plain, pos)
		k := newChecker(p.codec)
		defer k.close()
		if err := k.check(good, plain, pos); err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{40, len(good) / 2, len(good) - 1} {
			bad := bytes.Clone(good)
			bad[n] ^= 8
			if err := k.check(bad, plain, pos); !errors.Is(err, ErrDamaged) && !errors.Is(err, seal.ErrDamaged) {
				t.Errorf("byte %d flipped after encoding: %v", n, err)
			}
		}
		for what, other := range map[string][]byte{"shorter": plain[:len(plain)-1], "longer": append(bytes.Clone(plain), 1), "empty": nil} {
			if err := k.check(good, other, pos); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s input: %v", what, err)
			}
		}
		if err := k.check(p.codec.encode(enc, nil, nil, pos), nil, pos); err != nil {
			t.Errorf("an empty chunk: %v", err)
		}
	})
}

func TestADamagedPointIsListedWithItsProblemBesideTheOthers(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), true)
	v := newVictim(t, r)
	good := put(t, r, "app", pieces([]byte("good"), 1), WriterOptions{})
	overwrite(t, r.Store(), v.ref.ManifestKey(), []byte(`{"manifest":`))
	overwrite(t, r.Store(), "manifests/app/notes.txt", []byte("remember the milk"))
	overwrite(t, r.Store(), "manifests/README", []byte("hello"))
	overwrite(t, r.Store(), "manifests/app/logical/20260301T020000Z-aaaaaaaa.json", nil)
	points := wantListed(t, r, 4)
	if err := r.LoadManifests(t.Context(), points); err != nil {
		t.Fatal(err)
	}
	problems := map[string]bool{}
	for _, p := range points {
		problems[p.Key] = p.Problem != nil
		if p.Problem != nil && (!errors.Is(p.Problem, ErrDamaged) || !strings.Contains(p.Problem.Error(), p.Key) || p.Verified()) {
			t.Errorf("%s: %v", p.Key, p.Problem)
		}
	}
	want := map[string]bool{v.ref.ManifestKey(): true, good.ManifestKey(): false, "manifests/app/notes.txt": true, "manifests/README": true}
	if diff := cmp.Diff(want, problems); diff != "" {
		t.Error(diff)
	}
	wantReads(t, r, good, []byte("good"))
}

func TestADecompressionBombIsRefused(t *testing.T) {
	t.Parallel()
	c := newCodec("repo", Ref{Source: "a", Kind: "b", ID: "c"}, nil)
	huge := c.newEncoder().EncodeAll(make([]byte, ChunkSize+1), nil)
	h := c.header(seal.Position{Last: true}, 100, len(huge))
	frame, _, plain, err := c.readFrame(bytes.NewReader(append(h[:], huge...)), nil, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := c.decode(newDecoder(), nil, frame, seal.Position{Last: true}, plain); !errors.Is(err, ErrDamaged) || out != nil {
		t.Errorf("%d bytes came out: %v", len(out), err)
	}
}

func TestAStoreThatReportsAnotherChecksumFailsTheBackup(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), false)
	_, err := begin(t.Context(), r.over(liar{r.Store()}), "app", pieces([]byte("data"), 1), WriterOptions{})
	if !errors.Is(err, objstore.ErrChecksum) {
		t.Errorf("got %v", err)
	}
}
