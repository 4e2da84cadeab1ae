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
// as much as possible is in the log alone; and with ten million, of which most are in the sorted store, after a clean
// stop.
func BenchmarkOpen(b *testing.B) {
	for _, c := range []struct {
		keys        int
		killed      bool
		memory, log int64
	}{
		{1_000_000, false, 1 << 30, 512 << 20},
		{1_000_000, true, 1 << 30, 512 << 20},
		{1_000_000, true, 256 << 20, 128 << 20},
		{10_000_000, false, 256 << 20, 128 << 20},
	} {
		keys, killed := c.keys, c.killed
		b.Run(fmt.Sprintf("keys=%d,killed=%v,memory=%dMiB", keys, killed, c.memory>>20), func(b *testing.B) {
			if keys > 1_000_000 && testing.Short() {
				b.Skip("takes minutes")
			}
			o := Options{Dir: b.TempDir(), MachineBoot: "m", MemoryBytes: c.memory, LogBytes: c.log}
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
				s.Recycle()
				if p := ps[i/250%256]; i > 0 { // else filling takes even longer
					s.Trim(p, bases(&s.Replica(p).Clock))
				}
			}
			st := s.Stats()
			b.ReportMetric(float64(s.memoryUsed())/float64(keys), "B/key")
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
			if st := s.Stats(); st.Rows != int64(keys) {
				b.Fatalf("%+v", st)
			}
			must(b, s.Close())
		})
	}
}
