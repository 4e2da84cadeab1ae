//go:build unix

package tcp

import (
	"fmt"
	"syscall"
	"testing"

	"shoal/ring"
)

// cpu is what this process has used of the processors, in ns.
func cpu(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// measure runs f b.N times and reports, beside the time, the processor time and the allocations of both ends.
func measure(b *testing.B, f func(n int)) {
	b.ReportAllocs()
	f(100) // buffers grow to their size
	b.ResetTimer()
	before := cpu(b)
	f(b.N)
	b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
}

// An op is a number of frames there and as many back: an unpipelined request, and a tick of several frames.
func BenchmarkPingPong(b *testing.B) {
	for _, c := range []struct{ frames, size int }{{1, 200}, {16, 200}, {1, 16 << 10}} {
		b.Run(fmt.Sprintf("%dx%d", c.frames, c.size), func(b *testing.B) {
			back := make(chan struct{}, 1)
			count := func(all func()) func(ring.NodeID, uint64, []byte, bool) {
				n := 0
				return func(ring.NodeID, uint64, []byte, bool) {
					if n++; n == c.frames {
						n = 0
						all()
					}
				}
			}
			var y *testNode
			send := func(from *testNode, to ring.NodeID, unit []byte) {
				for range c.frames {
					if !from.Send(to, unit) {
						b.Error("not sent")
					}
				}
			}
			reply := unitOf(make([]byte, c.size))
			x := realNode(b, 1, func(cfg *Config) { cfg.OnFrame = count(func() { back <- struct{}{} }) })
			y = realNode(b, 2, func(cfg *Config) { cfg.OnFrame = count(func() { send(y, 1, reply) }) })
			introduce(x, y)
			eventually(b, "up", x, y, func() bool { return x.Up(2) && y.Up(1) })
			unit := unitOf(make([]byte, c.size))
			measure(b, func(n int) {
				for range n {
					send(x, 2, unit)
					<-back
				}
			})
		})
	}
}

// An op is a frame of a stream one way, with a bounded number under way.
func BenchmarkStream(b *testing.B) {
	const credit = 64
	for _, size := range []int{200, 4 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			credits := make(chan struct{}, 4)
			got := 0
			x := realNode(b, 1)
			y := realNode(b, 2, func(cfg *Config) {
				cfg.OnFrame = func(ring.NodeID, uint64, []byte, bool) {
					if got++; got%credit == 0 {
						credits <- struct{}{}
					}
				}
			})
			introduce(x, y)
			eventually(b, "up", x, y, func() bool { return x.Up(2) && y.Up(1) })
			unit := unitOf(make([]byte, size))
			b.SetBytes(int64(size))
			sent, open := 0, cap(credits)
			measure(b, func(n int) {
				for range n {
					if sent%credit == 0 {
						if open--; open < 0 {
							<-credits
							open = 0
						}
					}
					sent++
					if !x.Send(2, unit) {
						b.Fatal("not sent")
					}
				}
			})
			b.StopTimer()
		})
	}
}
