package engine

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"shoal/ring"
)

// BenchmarkOpen reports the time and memory of an Open with a million keys: after a clean stop, and after a kill when
// as much as possible is in the log alone.
func BenchmarkOpen(b *testing.B) {
	const keys = 1_000_000
	for _, killed := range []bool{false, true} {
		b.Run(fmt.Sprint("killed=", killed), func(b *testing.B) {
			o := Options{Dir: b.TempDir(), MachineBoot: "m", MemoryBytes: 1 << 30, LogBytes: 512 << 20}
			s := mustOpen(b, o)
			ps := make([]ring.Partition, 256)
			for i := range ps {
				ps[i] = ring.Partition(i)
			}
			must(b, s.Create(ps...))
			value := make([]byte, 100)
			for i := 0; i < keys; i += 250 {
				for j := range 250 {
					applyOne(b, s, benchRef(uint32(i+j)), value)
				}
				must(b, s.EndTick())
			}
			st := s.Stats()
			b.ReportMetric(float64(s.memoryUsed())/keys, "B/key")
			if killed {
				copied := b.TempDir()
				must(b, os.CopyFS(copied+"/copy", os.DirFS(o.Dir)))
				must(b, s.Close())
				o.Dir = copied + "/copy"
			} else {
				must(b, s.Close())
			}
			runtime.GC()
			cpu, began := cpuTime(), time.Now()
			s = mustOpen(b, o)
			b.ReportMetric(time.Since(began).Seconds(), "s")
			b.ReportMetric((cpuTime() - cpu).Seconds(), "cpu-s")
			b.ReportMetric(float64(st.Spills), "spills")
			if st := s.Stats(); st.Rows != keys {
				b.Fatalf("%+v", st)
			}
			must(b, s.Close())
		})
	}
}
