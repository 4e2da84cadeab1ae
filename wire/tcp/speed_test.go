package tcp

import (
	"fmt"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"shoal/ring"
)

func TestSmallFramesDoNotAllocate(t *testing.T) {
	box := newOutbox(1 << 20)
	w := writer{conn: discard{}, box: box, stall: 1 << 40}
	frame := make([]byte, 200)
	step := func() {
		for range 50 {
			box.push(frame)
		}
		w.fill()
		if err := w.flush(); err != nil {
			t.Fatal(err)
		}
	}
	step()
	step()
	step()
	if n := testing.AllocsPerRun(100, step); n != 0 {
		t.Errorf("sending: %v allocations", n)
	}

	var data []byte
	for range 1000 {
		data = appendUnit(data, typeData, 0, false, frame)
	}
	in := &scripted{piece: 4096}
	rd := newReader(in, 1<<20, 0)
	if n := testing.AllocsPerRun(10, func() {
		in.data = data
		for range 1000 {
			if _, err := rd.next(); err != nil {
				t.Fatal(err)
			}
		}
	}); n != 0 {
		t.Errorf("receiving: %v allocations", n)
	}
}

// discard is a connection that takes everything.
type discard struct{ net.Conn }

func (discard) Write(b []byte) (int, error)      { return len(b), nil }
func (discard) SetWriteDeadline(time.Time) error { return nil }

func BenchmarkSend(b *testing.B) {
	for _, size := range []int{100, 1000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			var got atomic.Int64
			x := realNode(b, 1)
			y := realNode(b, 2, func(c *Config) {
				c.OnFrame = func(ring.NodeID, uint64, []byte) { got.Add(1) }
			})
			introduce(x, y)
			eventually(b, "up", x, y, func() bool { return x.Up(2) && y.Up(1) })
			frame := make([]byte, size)
			window := max(int64(32<<20/size), 4)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				for int64(i)-got.Load() > window {
					runtime.Gosched()
				}
				if !x.Send(2, frame) {
					b.Fatal("not queued")
				}
			}
			for got.Load() < int64(b.N) {
				runtime.Gosched()
			}
		})
	}
}

// One frame there and one back, as an unpipelined request does.
func BenchmarkRoundTrip(b *testing.B) {
	back := make(chan struct{}, 1)
	x := realNode(b, 1, func(c *Config) { c.OnFrame = func(ring.NodeID, uint64, []byte) { back <- struct{}{} } })
	var y *testNode
	var ready atomic.Pointer[testNode]
	y = realNode(b, 2, func(c *Config) {
		c.OnFrame = func(from ring.NodeID, _ uint64, f []byte) { ready.Load().Send(from, f) }
	})
	ready.Store(y)
	introduce(x, y)
	eventually(b, "up", x, y, func() bool { return x.Up(2) && y.Up(1) })
	frame := make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		x.Send(2, frame)
		<-back
	}
}
