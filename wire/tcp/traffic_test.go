package tcp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"shoal/ring"
	"shoal/test/simnet"
)

func pattern(n int, seed uint64) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed)})
	_, _ = r.Read(b)
	return b
}

func TestSmallFramesPassALargeOne(t *testing.T) {
	a, b := realNode(t, 1), realNode(t, 2)
	introduce(a, b)
	eventually(t, "up", a, b, func() bool { return a.Up(2) && b.Up(1) })
	large := pattern(20<<20, 1)
	if !a.Send(2, unitOf(large)) {
		t.Fatal("not queued")
	}
	sent := 0
	eventually(t, "all arrived", a, b, func() bool {
		if sent < 50 {
			a.Send(2, unitOf([]byte{byte(sent)}))
			sent++
		}
		return len(b.received()) == 51
	})
	before := 0
	for _, f := range b.received() {
		if len(f) == len(large) {
			if !bytes.Equal(f, large) {
				t.Fatal("damaged")
			}
			break
		}
		before++
	}
	if before == 0 {
		t.Fatal("no small frame arrived before the large one that was sent first")
	}
}

func TestFramesOfEverySizeAroundTheFragment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New()
		a, b := simNode(t, net, 1), simNode(t, net, 2)
		introduce(a, b)
		settle()
		for _, n := range []int{
			0, 1, readBuffer - HeaderSize, readBuffer, FragmentSize - 1, FragmentSize, FragmentSize + 1,
			2 * FragmentSize, 2*FragmentSize + 1, 5 << 20,
		} {
			frame := pattern(n, uint64(n))
			seen := len(b.received())
			if !a.Send(2, unitOf(frame)) {
				t.Fatal("not queued")
			}
			synctest.Wait()
			got := b.received()
			if len(got) != seen+1 || !bytes.Equal(got[seen], frame) {
				t.Fatalf("frame of %d bytes", n)
			}
		}
		a.Close()
		b.Close()
	})
}

func TestLargeFramesAtOnceAllArrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New()
		a, b := simNode(t, net, 1), simNode(t, net, 2)
		introduce(a, b)
		settle()
		for i := range 3 * maxStreams {
			if !a.Send(2, unitOf(pattern((i+2)*FragmentSize+i, uint64(i)))) {
				t.Fatal("not queued")
			}
		}
		synctest.Wait()
		want(t, "arrived", len(b.received()), 3*maxStreams)
		for _, f := range b.received() {
			i := len(f)/FragmentSize - 2
			if !bytes.Equal(f, pattern((i+2)*FragmentSize+i, uint64(i))) {
				t.Fatalf("frame %d damaged", i)
			}
		}
		a.Close()
		b.Close()
	})
}

func TestFullQueueDropsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New()
		a := simNode(t, net, 1, func(c *Config) { c.MaxQueued = 4 << 20 })
		b := simNode(t, net, 2)
		introduce(a, b)
		settle()
		net.Cut(host(1), host(2))
		frame, queued := make([]byte, 100<<10), 0
		for a.Send(2, unitOf(frame)) {
			queued += len(frame)
		}
		if queued < 3<<20 || queued > 5<<20 {
			t.Fatalf("%d bytes were queued", queued)
		}
		synctest.Wait()
		want(t, "up", a.Up(2), false)
		if !errors.Is(a.lastCause(), ErrQueueFull) {
			t.Fatal(a.lastCause())
		}
		net.HealAll()
		time.Sleep(3 * time.Second)
		want(t, "up again", a.Up(2), true)
		a.Close()
		b.Close()
	})
}

// However much passed, the count of what waits comes back to nothing.
func TestQueueIsCountedRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New()
		a, b := simNode(t, net, 1), simNode(t, net, 2)
		introduce(a, b)
		settle()
		for i := range 200 {
			a.Send(2, unitOf(make([]byte, i*4000)))
		}
		time.Sleep(time.Second + DefaultPingEvery/2) // not when a ping is on its way into the queue
		synctest.Wait()
		box := (*a.table.Load())[2].link.Load().box
		box.mu.Lock()
		queued := box.queued
		box.mu.Unlock()
		want(t, "queued", queued, 0)
		want(t, "arrived", len(b.received()), 200)
		a.Close()
		b.Close()
	})
}

func TestFrameAboveTheLimitIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New()
		a := simNode(t, net, 1, func(c *Config) { c.MaxFrame = 1 << 20 })
		b := simNode(t, net, 2, func(c *Config) { c.MaxFrame = 1 << 19 })
		introduce(a, b)
		settle()
		want(t, "sent", a.Send(2, unitOf(make([]byte, 1<<20+1))), false)
		want(t, "up", a.Up(2), true)
		// The other end's own limit holds whatever this one allows.
		want(t, "sent", a.Send(2, unitOf(make([]byte, 1<<20))), true)
		synctest.Wait()
		want(t, "events", b.history(), []string{"up 1/7", "down 1/7"})
		if !errors.Is(b.lastCause(), ErrFrameSize) {
			t.Fatal(b.lastCause())
		}
		a.Close()
		b.Close()
	})
}

// A handler that takes long is no silence: the other end's pings wait in the socket, and this end's own go on.
func TestSlowHandlerIsNotDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New()
		a := simNode(t, net, 1)
		b := simNode(t, net, 2, func(c *Config) {
			c.OnFrame = func(ring.NodeID, uint64, []byte, bool) { time.Sleep(10 * time.Second) }
		})
		introduce(a, b)
		settle()
		a.Send(2, unitOf([]byte("x")))
		time.Sleep(15 * time.Second)
		want(t, "events", append(a.history(), b.history()...), []string{"up 2/7", "up 1/7"})
		a.Close()
		b.Close()
	})
}

func TestRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New()
		big := pattern(3<<20, 3)
		a := simNode(t, net, 1, func(c *Config) {
			c.OnStranger = func(from Identity, frame []byte) []byte {
				if from.Node != 9 || string(frame) == "refuse" {
					return nil
				}
				time.Sleep(3 * time.Second)
				return append(frame, big...)
			}
		})
		b := simNode(t, net, 9, func(c *Config) {
			self := c.Self
			c.Self = func() Identity { id := self(); id.Cluster = ring.ClusterID{}; return id }
		})
		reply, err := b.Request(t.Context(), a.addr, []byte("may I join? "))
		if err != nil || !bytes.Equal(reply, append([]byte("may I join? "), big...)) {
			t.Fatalf("%d bytes, %v", len(reply), err)
		}
		if _, err := b.Request(t.Context(), a.addr, []byte("refuse")); !errors.Is(err, ErrRefused) {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.Request(ctx, a.addr, []byte("x")); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if _, err := a.Request(t.Context(), b.addr, []byte("x")); !errors.Is(err, ErrUnknownPeer) {
			t.Fatalf("a node that answers no strangers: %v", err)
		}
		if _, err := a.Request(t.Context(), a.addr, []byte("x")); !errors.Is(err, ErrIdentity) {
			t.Fatalf("asking oneself: %v", err)
		}
		go func() { time.Sleep(time.Second); b.Close() }()
		if _, err := b.Request(t.Context(), a.addr, []byte("x")); !errors.Is(err, ErrClosed) {
			t.Fatal(err)
		}
		a.Close()
	})
}

func TestGossipStreamIsHandedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := simnet.New()
		arrived := make(chan net.Conn, 1)
		a := simNode(t, network, 1)
		b := simNode(t, network, 2, func(c *Config) { c.OnGossip = func(c net.Conn) { arrived <- c } })
		out, err := a.DialGossip(t.Context(), b.addr)
		if err != nil {
			t.Fatal(err)
		}
		in := <-arrived
		a.Close()
		b.Close()
		go func() { _, _ = out.Write([]byte("hello")); _ = out.Close() }()
		time.Sleep(time.Minute) // no deadline is left on it
		if got, err := io.ReadAll(in); string(got) != "hello" || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
		_ = in.Close()
	})
}
