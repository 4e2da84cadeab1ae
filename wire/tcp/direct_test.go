//go:build unix

package tcp

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"shoal/ring"
)

// narrow makes the sending buffers of the connections a node dials small, so that few writes are whole.
func narrow(c *Config) {
	c.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", addr)
		if err == nil {
			_ = conn.(*net.TCPConn).SetWriteBuffer(32 << 10)
		}
		return conn, err
	}
}

func linkTo(n *testNode, id ring.NodeID) *link { return (*n.table.Load())[id].link.Load() }

// numbered is a frame of n bytes, at least 12, that says who sent it, as which of his frames, and can be checked.
func numbered(sender, seq uint32, n int) []byte {
	b := make([]byte, n)
	binary.BigEndian.PutUint32(b, sender)
	binary.BigEndian.PutUint32(b[4:], seq)
	binary.BigEndian.PutUint32(b[8:], uint32(n))
	for i := 12; i < n; i++ {
		b[i] = byte(uint32(i) * (seq + 1))
	}
	return b
}

// ledger checks numbered frames: whole, and each sender's in order.
type ledger struct {
	t     *testing.T
	next  map[uint32]uint32
	count atomic.Int64
	bytes atomic.Int64
}

func (l *ledger) take(f []byte) {
	sender, seq := binary.BigEndian.Uint32(f), binary.BigEndian.Uint32(f[4:])
	if !bytes.Equal(f, numbered(sender, seq, int(binary.BigEndian.Uint32(f[8:])))) {
		l.t.Errorf("frame %d of %d is damaged", seq, sender)
	}
	if seq != l.next[sender] {
		l.t.Errorf("frame %d of %d, want %d", seq, sender, l.next[sender])
	}
	l.next[sender] = seq + 1
	l.bytes.Add(int64(len(f)))
	l.count.Add(1)
}

// Had Send waited for the peer, this test would never end: the peer reads only after the last Send.
func TestSendDoesNotWaitForAPeerThatDoesNotRead(t *testing.T) {
	for _, c := range []struct {
		name   string
		frames uint32 // more bytes than the buffers of both ends hold
		change func(*Config)
	}{{"usual buffers", 1500, func(*Config) {}}, {"small buffers", 400, narrow}} {
		t.Run(c.name, func(t *testing.T) {
			read := make(chan struct{})
			got := &ledger{t: t, next: map[uint32]uint32{}}
			a := realNode(t, 1, c.change)
			var b *testNode
			b = realNode(t, 2, func(c *Config) {
				c.OnFrame = func(_ ring.NodeID, _ uint64, f []byte, _ bool) {
					<-read
					got.take(f)
					b.stir()
				}
			})
			introduce(a, b)
			eventually(t, "up", a, b, func() bool { return a.Up(2) && b.Up(1) })
			var unit []byte
			count, size := int64(0), int64(0)
			for i := range c.frames {
				n, sender := 12+int(i*i%20_000), uint32(0)
				if i%100 == 99 { // large ones keep an order among themselves, since they are equally long
					n, sender = 2*FragmentSize+77, 1
				}
				seq := i - i/100
				if sender == 1 {
					seq = i / 100
				}
				unit = append(unit[:0], unitOf(numbered(sender, seq, n))...)
				if !a.Send(2, unit) {
					t.Fatal("not sent")
				}
				clear(unit)
				count, size = count+1, size+int64(n)
			}
			box := linkTo(a, 2).box
			box.mu.Lock()
			queued := box.queued
			box.mu.Unlock()
			if queued == 0 {
				t.Fatal("the connection took everything")
			}
			close(read)
			eventually(t, "all arrived", a, b, func() bool { return got.count.Load() == count })
			want(t, "bytes", got.bytes.Load(), size)
			want(t, "events", a.history(), []string{"up 2/7"})
		})
	}
}

func TestManySendersAtOnce(t *testing.T) {
	for name, change := range map[string]func(*Config){"usual buffers": func(*Config) {}, "small buffers": narrow} {
		t.Run(name, func(t *testing.T) {
			const senders, each = 4, 500
			got := &ledger{t: t, next: map[uint32]uint32{}}
			a := realNode(t, 1, change)
			var b *testNode
			b = realNode(t, 2, func(c *Config) {
				c.OnFrame = func(_ ring.NodeID, _ uint64, f []byte, _ bool) {
					got.take(f)
					b.stir()
				}
			})
			introduce(a, b)
			eventually(t, "up", a, b, func() bool { return a.Up(2) && b.Up(1) })
			box := linkTo(a, 2).box
			box.mu.Lock()
			box.gather = 0 // both ways are to be taken
			box.mu.Unlock()
			var wg sync.WaitGroup
			for s := range uint32(senders) {
				wg.Go(func() {
					for i := range uint32(each) {
						if !a.Send(2, unitOf(numbered(s, i, 12+int(i*(s+7)%3000)))) {
							t.Error("not sent")
							return
						}
					}
				})
			}
			wg.Wait()
			eventually(t, "all arrived", a, b, func() bool { return got.count.Load() == senders*each })
			want(t, "events", a.history(), []string{"up 2/7"})
		})
	}
}

func TestFailedWriteIsTheCauseOfDown(t *testing.T) {
	stuck, free := make(chan struct{}, 1), make(chan struct{})
	a := realNode(t, 1)
	b := realNode(t, 2, func(c *Config) {
		c.OnFrame = func(ring.NodeID, uint64, []byte, bool) { stuck <- struct{}{}; <-free }
	})
	introduce(a, b)
	eventually(t, "up", a, b, func() bool { return a.Up(2) && b.Up(1) })
	defer close(free)
	l := linkTo(a, 2)
	a.Send(2, unitOf([]byte("x")))
	<-stuck // the other end does not see that nothing more will come, and does not answer it by closing
	if err := l.conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	sent := a.Send(2, unitOf(make([]byte, gatherBelow)))
	eventually(t, "down", a, b, func() bool { return len(a.history()) >= 2 })
	want(t, "sent", sent, false)
	want(t, "events", a.history()[:2], []string{"up 2/7", "down 2/7"})
	want(t, "causes", len(a.allCauses()), 1)
	if !errors.Is(a.lastCause(), syscall.EPIPE) {
		t.Fatal(a.lastCause())
	}
}

// pair returns the two ends of a connection over loopback.
func pair(t *testing.T) (x, y net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if x, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if y, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = x.Close(), y.Close() })
	return x, y
}

func TestDirectTakesWhatFits(t *testing.T) {
	x, _ := pair(t)
	write := newDirect(x)
	chunk := make([]byte, 64<<10)
	for full := false; !full; { // nobody reads: it ends, if it does not wait
		n, err := write(chunk)
		if err != nil {
			t.Fatal(err)
		}
		full = n == 0
	}
}

// The writer's last deadline may have passed long ago.
func TestDirectAfterThePassedDeadlineOfTheWriter(t *testing.T) {
	x, y := pair(t)
	write := newDirect(x)
	if err := x.SetWriteDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	n, err := write([]byte("x"))
	want(t, "bytes", n, 0)
	if err != nil {
		t.Fatal(err)
	}
	box := newOutbox(1<<20, write)
	w := writer{conn: x, box: box, stall: time.Hour}
	if err := box.push(unitOf(make([]byte, gatherBelow))); err != nil {
		t.Fatal(err)
	}
	w.drain(t)
	if f, err := newReader(y, 1<<20, 0).next(); err != nil || len(f) != gatherBelow {
		t.Fatal(len(f), err)
	}
	want(t, "queued", box.queued, 0)
}

func TestDirectAfterClose(t *testing.T) {
	x, _ := pair(t)
	write := newDirect(x)
	_ = x.Close()
	if _, err := write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
}

func TestOnlySocketsAreWrittenDirectly(t *testing.T) {
	x, y := net.Pipe()
	defer x.Close()
	defer y.Close()
	if newDirect(x) != nil {
		t.Fatal("a pipe of memory")
	}
}
