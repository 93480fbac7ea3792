package repo

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"
)

// copyText is n bytes like the rows of COPY: keys that count up, names, times,
// amounts; it compresses about as real tables do.
func copyText(n int) []byte {
	words := strings.Fields("Ada Grace Alan Edsger Barbara Donald Margaret Ken Dennis Bjarne paid open shipped returned Berlin Paris Tokyo Quito")
	rnd := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	b.Grow(n + 200)
	for id := 1; b.Len() < n; id++ {
		fmt.Fprintf(&b, "%d\t%s %s\t%s\t2026-%02d-%02d %02d:%02d:%02d.%06d+00\t%d.%02d\t\\N\t{\"ref\": \"%08x\", \"items\": %d}\n",
			id, words[rnd.IntN(10)], words[rnd.IntN(len(words))], words[10+rnd.IntN(4)],
			1+rnd.IntN(12), 1+rnd.IntN(28), rnd.IntN(24), rnd.IntN(60), rnd.IntN(60), rnd.IntN(1_000_000),
			rnd.IntN(5000), rnd.IntN(100), rnd.Uint32(), rnd.IntN(20))
	}
	return b.Bytes()[:n]
}

const benchBytes = 24 * ChunkSize

func BenchmarkStoreStream(b *testing.B) {
	text := copyText(benchBytes)
	noise := pseudorandom(1, benchBytes)
	for _, c := range []struct {
		name           string
		data           []byte
		sealed, verify bool
		workers        int
	}{
		{"text/unsealed/1", text, false, false, 1}, {"text/unsealed/2", text, false, false, 2},
		{"text/sealed/1", text, true, false, 1}, {"text/sealed/2", text, true, false, 2}, {"text/sealed/3", text, true, false, 3},
		{"text/sealed+verify/2", text, true, true, 2}, {"noise/sealed/2", noise, true, false, 2},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := newRepo(b, openDir(b, memoryDir(b)), c.sealed)
			b.SetBytes(benchBytes)
			var stored int64
			for b.Loop() {
				p, err := r.NewPoint("app", "logical", clock, WriterOptions{VerifyStored: c.verify})
				if err != nil {
					b.Fatal(err)
				}
				s := p.Stream(b.Context(), "archive", c.workers)
				if _, err := s.Write(c.data); err != nil {
					b.Fatal(err)
				}
				if _, err := s.Close(); err != nil {
					b.Fatal(err)
				}
				stored = s.Stored.Load()
				if err := p.Abort(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(benchBytes)/float64(stored), "ratio")
		})
	}
}

func BenchmarkReadStream(b *testing.B) {
	text := copyText(benchBytes)
	for name, sealed := range map[string]bool{"sealed": true, "unsealed": false} {
		b.Run(name, func(b *testing.B) {
			r := newRepo(b, openDir(b, memoryDir(b)), sealed)
			ref := put(b, r, "app", pieces(text, benchBytes/ChunkSize), WriterOptions{})
			b.SetBytes(benchBytes)
			for b.Loop() {
				p, err := r.OpenPoint(b.Context(), ref)
				if err != nil {
					b.Fatal(err)
				}
				body, err := p.Open(b.Context(), "archive")
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, body); err != nil {
					b.Fatal(err)
				}
				_ = body.Close()
			}
		})
	}
}

// BenchmarkStreamMemory stores incompressible data, the worst case, and reports
// the largest resident size of the process: run it alone and once.
func BenchmarkStreamMemory(b *testing.B) {
	noise := pseudorandom(1, 1<<20)
	r := newRepo(b, openDir(b, b.TempDir()), true)
	for b.Loop() {
		p, err := r.NewPoint("app", "logical", clock, WriterOptions{})
		if err != nil {
			b.Fatal(err)
		}
		s := p.Stream(b.Context(), "archive", 2)
		for range 512 {
			if _, err := s.Write(noise); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := s.Close(); err != nil {
			b.Fatal(err)
		}
		if err := p.Abort(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	runtime.GC()
	if status, err := os.ReadFile("/proc/self/status"); err == nil {
		for line := range strings.SplitSeq(string(status), "\n") {
			var kb float64
			if n, _ := fmt.Sscanf(line, "VmHWM: %f kB", &kb); n == 1 {
				b.ReportMetric(kb/1024, "MiB-peak-RSS")
			}
		}
	}
}
