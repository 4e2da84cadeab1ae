package causal

import (
	"bytes"
	"testing"
)

// benchRow is a converged key of three owners: one version of 64 bytes, three vector entries.
func benchRow(seq uint64) Container {
	return Container{
		Versions: []Version{{Dot: Dot{1 << 50, seq}, Kind: KindString, HLC: 1_800_000_000_000 << 16, Payload: bytes.Repeat([]byte("x"), 64)}},
		Vector:   Vector{{1 << 50, seq}, {1<<50 + 1, 70_000}, {1<<50 + 2, 3}},
	}
}

func benchSiblings(n int) Container {
	var c Container
	for i := range n {
		c = c.Add(Version{Dot: Dot{Actor(1<<50 + i), 9}, Kind: KindString, Payload: []byte("value")})
	}
	return c
}

func BenchmarkEncodeContainer(b *testing.B) {
	row := benchRow(1_000_000)
	buf := make([]byte, 0, row.Size())
	b.ReportAllocs()
	for b.Loop() {
		buf = row.Append(buf[:0])
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkDecodeContainer(b *testing.B) {
	buf := benchRow(1_000_000).Append(nil)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeContainer(buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMerge(b *testing.B) {
	old, row := benchRow(1_000_000), benchRow(1_000_001)
	left, right := benchSiblings(3), benchSiblings(2).Add(Version{Dot: Dot{5, 1}, Kind: KindString})
	for _, c := range []struct {
		name string
		x, y Container
	}{{"overwrite", old, row}, {"late", row, old}, {"equal", row, row}, {"siblings", left, right}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Merge(c.x, c.y)
			}
		})
	}
}

func BenchmarkAdmit(b *testing.B) {
	old, row := benchRow(1_000_000), benchRow(1_000_001)
	before := Replica{Clock: Clock{entries: []Entry{{Actor: 1 << 50, Base: 1_000_000}, {Actor: 1<<50 + 1, Base: 70_000}, {Actor: 1<<50 + 2, Base: 3}}}}
	after := Replica{Clock: before.Clock.Clone()}
	after.Mark([]Dot{row.Versions[0].Dot})
	for _, c := range []struct {
		name    string
		r       *Replica
		row, in Container
	}{
		{"fresh", &before, old, row}, {"duplicate", &after, row, row},
		{"late", &after, row, old}, {"late to a reaped row", &after, Container{}, old},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.r.Admit(c.row, c.in)
			}
		})
	}
}

func BenchmarkPlainWrite(b *testing.B) {
	r := Replica{Life: 1 << 50, Seq: 1_000_000}
	row := benchRow(1_000_000)
	v := row.Versions[0]
	b.ReportAllocs()
	for b.Loop() {
		v.Dot = r.Next()
		row = row.Discard(row.Context()).Add(v)
	}
}

func BenchmarkClockAdd(b *testing.B) {
	b.Run("in order", func(b *testing.B) {
		var c Clock
		seq := uint64(0)
		b.ReportAllocs()
		for b.Loop() {
			seq++
			c.Add(Dot{1, seq})
		}
	})
	b.Run("above a hole", func(b *testing.B) {
		var c Clock
		seq := uint64(2)
		b.ReportAllocs()
		for b.Loop() {
			seq++
			c.Add(Dot{1, seq})
		}
	})
}

func BenchmarkClockCodec(b *testing.B) {
	var c Clock
	for a := range uint64(10) {
		for seq := range uint64(20) {
			c.Add(Dot{Actor(1<<50 + a), 3*seq + 1})
		}
	}
	buf := c.Append(nil)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = c.Append(buf[:0])
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := DecodeClock(buf); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("union, nothing new", func(b *testing.B) {
		other := c.Clone()
		b.ReportAllocs()
		for b.Loop() {
			c.Union(&other)
		}
	})
}

// What happens on every message must not allocate when it brings nothing.
func TestNothingNewAllocatesNothing(t *testing.T) {
	old, row := benchRow(1_000_000), benchRow(1_000_001)
	var r Replica
	for _, d := range row.Vector {
		r.Clock.entries = append(r.Clock.entries, Entry{Actor: d.Actor, Base: d.Seq})
	}
	other := r.Clock.Clone()
	buf := make([]byte, 0, row.Size())
	for name, f := range map[string]func(){
		"duplicate":             func() { r.Admit(row, row) },
		"late":                  func() { r.Admit(row, old) },
		"late to a reaped row":  func() { r.Admit(Container{}, old) },
		"merge, newer":          func() { Merge(old, row) },
		"merge, older":          func() { Merge(row, old) },
		"union":                 func() { r.Clock.Union(&other) },
		"encode":                func() { buf = row.Append(buf[:0]) },
		"discard, nothing seen": func() { row.Discard(Context{}) },
	} {
		if n := testing.AllocsPerRun(100, f); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
