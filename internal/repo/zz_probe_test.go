package repo

import (
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

func cpu() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano())
}

func TestZZ(t *testing.T) {
	text := copyText(8 * ChunkSize)
	for _, lvl := range []zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedDefault} {
		for _, win := range []int{256 << 10, 512 << 10, 1 << 20, 4 << 20, 8 << 20} {
			for _, low := range []bool{true, false} {
				var m0, m1 runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&m0)
				enc, _ := zstd.NewWriter(nil, zstd.WithEncoderLevel(lvl), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(true), zstd.WithWindowSize(win), zstd.WithLowerEncoderMem(low))
				out := make([]byte, 0, ChunkSize+ChunkSize/8)
				enc.EncodeAll(text[:ChunkSize], out)
				runtime.ReadMemStats(&m1)
				c := cpu()
				n := 0
				for i := range 8 {
					n += len(enc.EncodeAll(text[i*ChunkSize:(i+1)*ChunkSize], out[:0]))
				}
				d := cpu() - c
				fmt.Printf("%-8v win %5dK low %-5v ratio %.3f  %.0f MB/s-cpu  mem %.1f MiB\n", lvl, win>>10, low, float64(len(text))/float64(n), float64(len(text))/1e6/d.Seconds(), float64(m1.TotalAlloc-m0.TotalAlloc)/1048576-9)
			}
		}
	}
}
