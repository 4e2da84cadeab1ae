package tcp

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"shoal/ring"
	"shoal/test/simnet"
)

// raw connects to a node as somebody who writes what he likes.
func raw(t *testing.T, network *simnet.Network, to *testNode) net.Conn {
	t.Helper()
	c, err := network.Host("10.0.0.200").Dial(t.Context(), to.addr)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestWhoeverSaysNothingIsClosedSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := simnet.New()
		a := simNode(t, network, 1)
		for _, said := range []string{"", "P", "Pshl1", "S", "Sshl1xxxxx"} {
			c := raw(t, network, a)
			_, _ = c.Write([]byte(said))
			start := time.Now()
			_, _ = io.Copy(io.Discard, c)
			if took := time.Since(start); took > handshakeTimeout {
				t.Fatalf("after %q: %v", said, took)
			}
		}
		a.Close()
	})
}

// Idle connections of anybody do not keep a peer out for longer than a handshake may take.
func TestManyIdleConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := simnet.New()
		a, b := simNode(t, network, 1), simNode(t, network, 2)
		for range 3 * maxHandshakes {
			raw(t, network, b)
			synctest.Wait()
		}
		introduce(a, b)
		time.Sleep(handshakeTimeout + maxBackoff + time.Millisecond)
		want(t, "up", a.Up(2), true)
		a.Close()
		b.Close()
	})
}

func TestGarbageNeverPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := simnet.New()
		a := simNode(t, network, 1, func(c *Config) {
			c.OnStranger = func(Identity, []byte) []byte { t.Error("served"); return nil }
		})
		a.SetPeers([]Peer{{ID: 2, Addr: "10.0.0.2:7000"}})
		r := rand.New(rand.NewPCG(1, 1))
		good := hello{Identity: Identity{Node: 2, Cluster: testCluster, Version: 1}}.encode()
		for i := range 2000 {
			c := raw(t, network, a)
			b := []byte{"PSGx"[i%4]}
			if i%3 != 0 {
				b = append(b, good[:]...)
			}
			for range r.IntN(200) {
				b = append(b, byte(r.Uint32()))
			}
			_, _ = c.Write(b)
			_ = c.Close()
		}
		time.Sleep(2 * time.Second)
		want(t, "events", a.history(), []string(nil))
		if n := len(a.logged()); n > 30 {
			t.Fatalf("%d log lines", n)
		}
		a.Close()
	})
}

// The acceptor's nonce is new each time, so what a dialler once said is worth nothing later; and a dialler knows the
// acceptor by the answer to its own nonce.
func TestReplayedHandshakeIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := simnet.New()
		b := simNode(t, network, 2)
		b.SetPeers([]Peer{{ID: 1, Addr: "10.0.0.1:7000"}})

		// Node 1 dials through a proxy that notes what both say.
		var said, answered []byte
		ln, _ := network.Host("10.0.0.100").Listen(":7000")
		proxied := make(chan struct{})
		go func() {
			defer close(proxied)
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out := raw(t, network, b)
			buf := make([]byte, 1+helloSize)
			_, _ = io.ReadFull(in, buf)
			_, _ = out.Write(buf)
			said = append(said, buf...)
			_, _ = io.ReadFull(out, buf[:helloSize])
			_, _ = in.Write(buf[:helloSize])
			answered = append(answered, buf[:helloSize]...)
			_, _ = io.ReadFull(in, buf[:proofSize])
			_, _ = out.Write(buf[:proofSize])
			said = append(said, buf[:proofSize]...)
			_, _ = io.ReadFull(out, buf[:1+proofSize])
			answered = append(answered, buf[:1+proofSize]...)
			_ = in.Close()
			_ = out.Close()
		}()
		a := simNode(t, network, 1)
		a.SetPeers([]Peer{{ID: 2, Addr: "10.0.0.100:7000"}})
		<-proxied
		synctest.Wait()
		want(t, "the true node was taken", b.history(), []string{"up 1/7", "down 1/7"})
		a.SetPeers(nil)

		c := raw(t, network, b)
		_, _ = c.Write(said)
		got, _ := io.ReadAll(c)
		if len(got) != helloSize+1+proofSize || got[helloSize] != verdictSecret {
			t.Fatalf("the replayed dialler got %d bytes", len(got))
		}
		want(t, "events", len(b.history()), 2)

		// And the other way round: somebody plays the acceptor.
		go func() {
			in, err := ln.Accept()
			if err == nil {
				_, _ = in.Write(answered)
				_, _ = io.Copy(io.Discard, in)
				_ = in.Close()
			}
		}()
		a.SetPeers([]Peer{{ID: 2, Addr: "10.0.0.100:7000"}})
		time.Sleep(500 * time.Millisecond)
		want(t, "the replayed acceptor", a.Up(2), false)
		a.Close()
		b.Close()
		_ = ln.Close()
	})
}

// member connects as node 1 with the right secret and then writes what it likes.
func member(t *testing.T, network *simnet.Network, to *testNode) net.Conn {
	t.Helper()
	n := testNode{id: 1}
	tr := New(n.config())
	c := raw(t, network, to)
	if _, err := tr.greet(c, preamblePeer, 2); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestHostileFramesCloseTheConnection(t *testing.T) {
	length := func(n uint32) []byte {
		b := appendUnit(nil, typeData, 0, false, nil)
		binary.BigEndian.PutUint32(b, n)
		return b
	}
	damaged := appendUnit(nil, typeData, 0, false, []byte("x"))
	damaged[len(damaged)-1]++
	manyStreams := []byte{}
	for i := range maxStreams + 1 {
		manyStreams = appendUnit(manyStreams, typeData, uint16(i+1), true, []byte("x"))
	}
	for name, bytes := range map[string][]byte{
		"huge length":          length(1<<32 - 1),
		"length above a limit": length(FragmentSize + 1),
		"unknown type":         appendUnit(nil, 9, 0, false, nil),
		"ping with a payload":  appendUnit(nil, typePing, 0, false, []byte("x")),
		"more without stream":  appendUnit(nil, typeData, 0, true, []byte("x")),
		"empty fragment":       appendUnit(nil, typeData, 1, true, nil),
		"damaged payload":      damaged,
		"too many streams":     manyStreams,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := simnet.New()
				b := simNode(t, network, 2)
				b.SetPeers([]Peer{{ID: 1}})
				c := member(t, network, b)
				_, _ = c.Write(bytes)
				synctest.Wait()
				want(t, "events", b.history(), []string{"up 1/7", "down 1/7"})
				want(t, "cause", kindOf(b.lastCause()), ErrProtocol.Error())
				want(t, "frames", len(b.received()), 0)
				_ = c.Close()
				b.Close()
			})
		})
	}
}

// Memory follows what arrived, not what might come.
func TestOpenStreamsCostWhatTheySent(t *testing.T) {
	a := assembly{max: 64 << 20}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for id := range uint16(maxStreams) {
		if _, err := a.add(header{stream: id + 1, more: true}, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 64<<10 {
		t.Fatalf("%d bytes", got)
	}
}

func TestOlderIncarnationIsRefusedWhileANewerIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := simnet.New()
		a, b := simNode(t, network, 1), simNode(t, network, 2)
		introduce(a, b)
		settle()
		old := testNode{id: 1}
		cfg := old.config()
		cfg.Self = func() Identity { return Identity{Node: 1, Incarnation: 6, Cluster: testCluster, Version: 1} }
		c := raw(t, network, b)
		_, err := New(cfg).greet(c, preamblePeer, ring.NodeID(2))
		want(t, "verdict", kindOf(err), ErrStale.Error())
		want(t, "events", b.history(), []string{"up 1/7"})
		_ = c.Close()
		a.Close()
		b.Close()
	})
}
