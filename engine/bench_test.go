package engine

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"shoal/causal"
	"shoal/ring"
)

const benchKeys = 100_000

func benchStore(b *testing.B) *Store { return benchStoreWith(b, 0, 0) }

func benchStoreWith(b *testing.B, memory, log int64) *Store {
	s := mustOpen(b, Options{Dir: b.TempDir(), CacheBytes: 64 << 20, MachineBoot: "m", MemoryBytes: memory, LogBytes: log})
	b.Cleanup(func() { must(b, s.Close()) })
	ps := make([]ring.Partition, 256)
	for i := range ps {
		ps[i] = ring.Partition(i)
	}
	must(b, s.Create(ps...))
	return s
}

func benchRef(i uint32) Ref {
	slot := ring.Slot(i * 2654435761 % ring.Slots)
	return Ref{Partition: ring.Partition(slot / 64), Slot: slot, Key: binary.BigEndian.AppendUint32([]byte("key:"), i)}
}

// apply writes n random keys as one tick: read, merge, put.
func apply(b *testing.B, s *Store, rng *rand.Rand, value []byte, n int) {
	for range n {
		ref := benchRef(rng.Uint32N(benchKeys))
		applyOne(b, s, ref, value)
	}
	must(b, s.EndTick())
	s.Recycle()
}

func applyOne(b *testing.B, s *Store, ref Ref, value []byte) {
	row, err := s.Row(ref.Partition, ref.Slot, ref.Key)
	must(b, err)
	d := s.Replica(ref.Partition).Next()
	v := causal.Version{Dot: d, Kind: causal.KindString, HLC: d.Seq, Payload: value}
	s.Put(ref.Partition, ref.Slot, ref.Key, row.Discard(row.Context()).Add(v), []causal.Dot{d})
}

// BenchmarkApply reports ns per operation, not per tick.
func BenchmarkApply(b *testing.B) {
	for _, n := range []int{1, 16, 256} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s, rng, value := benchStore(b), rand.New(rand.NewPCG(1, 1)), make([]byte, 100)
			for range benchKeys / 256 {
				apply(b, s, rng, value, 256)
			}
			b.ReportAllocs()
			b.ResetTimer()
			cpu := cpuTime()
			for i := 0; i < b.N; i += n {
				apply(b, s, rng, value, n)
			}
			b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N), "cpu-ns/op")
		})
	}
}

// BenchmarkGet reports ns per key.
func BenchmarkGet(b *testing.B) {
	for _, n := range []int{1, 16, 256} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s, rng, value := benchStore(b), rand.New(rand.NewPCG(1, 1)), make([]byte, 100)
			for range benchKeys / 256 {
				apply(b, s, rng, value, 256)
			}
			refs, out := make([]Ref, n), make([]Row, n)
			b.ReportAllocs()
			b.ResetTimer()
			cpu := cpuTime()
			for i := 0; i < b.N; i += n {
				for j := range refs {
					refs[j] = benchRef(rng.Uint32N(benchKeys))
				}
				s.Get(refs, out)
				s.Recycle()
			}
			b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N), "cpu-ns/op")
		})
	}
}

// cpuTime is what this process has used, background work included: the machine may be shared.
func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkSpilling is BenchmarkApply while the sorted store is filled: with everything in memory and a small log, and
// with a quarter of the rows in memory. The CPU includes tables and compactions.
func BenchmarkSpilling(b *testing.B) {
	for _, memory := range []int64{256 << 20, 6 << 20} {
		b.Run(fmt.Sprint("memory=", memory>>20, "MiB"), func(b *testing.B) {
			s, rng, value := benchStoreWith(b, memory, 16<<20), rand.New(rand.NewPCG(1, 1)), make([]byte, 100)
			for range 2 * benchKeys / 256 {
				apply(b, s, rng, value, 256)
			}
			b.ReportAllocs()
			b.ResetTimer()
			cpu := cpuTime()
			for i := 0; i < b.N; i += 64 {
				apply(b, s, rng, value, 64)
			}
			b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N), "cpu-ns/op")
			b.ReportMetric(float64(s.Stats().SpilledRows)/float64(b.N), "spilled/op")
			b.ReportMetric(float64(s.Stats().Stalls), "stalls")
		})
	}
}

// BenchmarkVector is the engine's part of a pipeline of 16 writes, 16 of them per tick: Touch, then per key Row, what a
// coordinator makes of it, and Put. It reports ns per write.
func BenchmarkVector(b *testing.B) {
	s, rng, value := benchStoreWith(b, 0, 1<<30), rand.New(rand.NewPCG(1, 1)), make([]byte, 128) // no spilling
	all := make([]Ref, benchKeys)
	for i := range all {
		all[i] = benchRef(uint32(i))
	}
	refs := make([]Ref, 16)
	var version [1]causal.Version
	var vector [4]causal.Dot
	var dots [1]causal.Dot
	put := func(ref Ref) {
		row, err := s.Row(ref.Partition, ref.Slot, ref.Key)
		must(b, err)
		dots[0] = s.Replica(ref.Partition).Next()
		version[0] = causal.Version{Dot: dots[0], Kind: causal.KindString, HLC: dots[0].Seq, Payload: value}
		made := causal.Container{Versions: version[:], Vector: causal.Vector(append(vector[:0], row.Vector...)).With(dots[0])}
		s.Put(ref.Partition, ref.Slot, ref.Key, made, dots[:])
	}
	for i, ref := range all {
		put(ref)
		if i%256 == 255 {
			must(b, s.EndTick())
		}
	}
	tick := func() {
		for range 16 {
			for j := range refs {
				refs[j] = all[rng.Uint32N(benchKeys)]
			}
			s.Touch(refs)
			for _, ref := range refs {
				put(ref)
			}
		}
		must(b, s.EndTick())
		s.Recycle()
	}
	for range 4 * benchKeys / 256 { // until there is as much garbage as there will be
		tick()
	}
	b.ReportAllocs()
	b.ResetTimer()
	cpu := cpuTime()
	for i := 0; i < b.N; i += 256 {
		tick()
	}
	b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(s.memoryUsed())/1e6, "MB")
}
