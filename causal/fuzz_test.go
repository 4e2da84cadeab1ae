package causal

import (
	"bytes"
	"runtime"
	"testing"
)

// A decoder answers any bytes without a panic and without asking for more memory than a fixed multiple of them, and
// what it accepts encodes to the same bytes again.
const (
	bytesPerByte = 16
	bytesAlways  = 8 << 10 // the error, and what the runtime does beside
)

// checkMemory is retried because other goroutines of the test binary allocate too.
func checkMemory(t *testing.T, b []byte, decode func()) {
	t.Helper()
	var before, after runtime.MemStats
	var used uint64
	for range 5 {
		runtime.ReadMemStats(&before)
		decode()
		runtime.ReadMemStats(&after)
		if used = after.TotalAlloc - before.TotalAlloc; used <= uint64(len(b)*bytesPerByte+bytesAlways) {
			return
		}
	}
	t.Fatalf("%d bytes allocated to decode %d", used, len(b))
}

func seeds(f *testing.F, encodings ...[]byte) {
	for _, b := range encodings {
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
	f.Add([]byte{Format, 0xff, 0xff, 0xff, 0xff, 0x0f})
}

func someContainer() Container {
	c := Container{}
	for _, d := range []Dot{{1, 1}, {1, 4}, {1 << 40, 7}, {2, 200}} {
		c = c.Add(versionUnder(d))
	}
	return c
}

func FuzzDecodeContainer(f *testing.F) {
	seeds(f, Container{}.Append(nil), someContainer().Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := DecodeContainer(b)
		checkMemory(t, b, func() { _, _ = DecodeContainer(b) })
		if err != nil {
			if !c.Empty() {
				t.Fatalf("an error and %v", c)
			}
			return
		}
		if again := c.Append(nil); !bytes.Equal(again, b) {
			t.Fatalf("%x encodes again as %x", b, again)
		}
		if !Same(Merge(c, c), c) || !Same(Merge(c, Container{Vector: c.Vector}), Container{Vector: c.Vector}) {
			t.Fatalf("%v does not merge", c)
		}
	})
}

func FuzzDecodeClock(f *testing.F) {
	some, _ := clockOf([]Dot{{1, 1}, {1, 2}, {1, 5}, {1, 6}, {1, 9}, {7, 3}})
	seeds(f, (&Clock{}).Append(nil), some.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := DecodeClock(b)
		checkMemory(t, b, func() { _, _ = DecodeClock(b) })
		if err != nil {
			if !c.IsZero() {
				t.Fatalf("an error and %v", c)
			}
			return
		}
		if again := c.Append(nil); !bytes.Equal(again, b) {
			t.Fatalf("%x encodes again as %x", b, again)
		}
		both := some.Clone()
		both.Union(&c)
		other := c.Clone()
		other.Union(&some)
		if !both.Equal(&other) || !both.Covers(&c) || !both.Covers(&some) {
			t.Fatalf("union with %v: %v, %v", c, both, other)
		}
	})
}

func FuzzDecodeContext(f *testing.F) {
	seeds(f, Context{}.Append(nil), Context{Vector: Vector{{1, 5}, {3, 1}}, Dots: []Dot{{1, 7}, {2, 1}}}.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := DecodeContext(b)
		checkMemory(t, b, func() { _, _ = DecodeContext(b) })
		if err != nil {
			return
		}
		if again := x.Append(nil); !bytes.Equal(again, b) {
			t.Fatalf("%x encodes again as %x", b, again)
		}
	})
}

func FuzzDecodeVector(f *testing.F) {
	seeds(f, Vector(nil).Append(nil), Vector{{1, 5}, {3, 1}}.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, rest, err := DecodeVector(b)
		checkMemory(t, b, func() { _, _, _ = DecodeVector(b) })
		if err != nil {
			return
		}
		if again := append(v.Append(nil), rest...); !bytes.Equal(again, b) {
			t.Fatalf("%x encodes again as %x", b, again)
		}
	})
}
