package tcp

import (
	"errors"
	"fmt"
	"net"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shoal/ring"
	"shoal/test/simnet"
)

func want(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

func TestPeersComeUpAndExchangeFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		netw := simnet.New()
		a, b := simNode(t, netw, 1), simNode(t, netw, 2)
		defer a.Close()
		defer b.Close()
		introduce(a, b)
		settle()
		want(t, "events of a", a.history(), []string{"up 2/7"})
		want(t, "events of b", b.history(), []string{"up 1/7"})
		want(t, "up", []bool{a.Up(2), b.Up(1), a.Up(3)}, []bool{true, true, false})
		if id, ok := a.Remote(2); !ok || id.Capabilities != 5 {
			t.Fatalf("remote identity %+v", id)
		}
		for i := range 100 {
			if !a.Send(2, unitOf(fmt.Appendf(nil, "a%d", i))) || !b.Send(1, unitOf(fmt.Appendf(nil, "b%d", i))) {
				t.Fatal("not queued")
			}
		}
		synctest.Wait()
		for i := range 100 {
			want(t, "frame", string(b.received()[i]), fmt.Sprintf("a%d", i))
			want(t, "frame", string(a.received()[i]), fmt.Sprintf("b%d", i))
		}
		time.Sleep(time.Hour)
		want(t, "events after an idle hour", a.history(), []string{"up 2/7"})
	})
}

func TestCloseTellsBothEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		netw := simnet.New()
		a, b := simNode(t, netw, 1), simNode(t, netw, 2)
		introduce(a, b)
		settle()
		b.Close()
		want(t, "events of the closed", b.history(), []string{"up 1/7", "down 1/7"})
		if !errors.Is(b.lastCause(), ErrClosed) {
			t.Fatal(b.lastCause())
		}
		synctest.Wait()
		want(t, "events of the other", a.history(), []string{"up 2/7", "down 2/7"})
		want(t, "send", a.Send(2, unitOf([]byte("x"))), false)
		a.Close()
		a.Close()
	})
}

// A cut that swallows bytes shows only as silence.
func TestSilenceForDownAfterIsDown(t *testing.T) {
	for _, c := range []struct {
		name string
		cut  func(*simnet.Network)
	}{
		{"both directions", func(n *simnet.Network) { n.CutBoth(host(1), host(2)) }},
		{"towards the dialler", func(n *simnet.Network) { n.Cut(host(2), host(1)) }},
		{"towards the acceptor", func(n *simnet.Network) { n.Cut(host(1), host(2)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				netw := simnet.New()
				a, b := simNode(t, netw, 1), simNode(t, netw, 2)
				defer a.Close()
				defer b.Close()
				introduce(a, b)
				time.Sleep(10 * time.Second)
				c.cut(netw)
				time.Sleep(600 * time.Millisecond)
				want(t, "too early", []bool{a.Up(2), b.Up(1)}, []bool{true, true})
				time.Sleep(500 * time.Millisecond)
				if a.Up(2) && b.Up(1) {
					t.Fatal("nobody noticed")
				}
				if c.name == "both directions" {
					want(t, "noticed", []bool{a.Up(2), b.Up(1)}, []bool{false, false})
					if !errors.Is(a.lastCause(), ErrSilent) || !errors.Is(b.lastCause(), ErrSilent) {
						t.Fatal(a.lastCause(), b.lastCause())
					}
				}
				time.Sleep(time.Hour)
				want(t, "an hour later", []bool{a.Up(2), b.Up(1)}, []bool{false, false})
				netw.HealAll()
				time.Sleep(2 * time.Second)
				want(t, "healed", []bool{a.Up(2), b.Up(1)}, []bool{true, true})
				want(t, "events of a", a.history(), []string{"up 2/7", "down 2/7", "up 2/7"})
				want(t, "events of b", b.history(), []string{"up 1/7", "down 1/7", "up 1/7"})
			})
		})
	}
}

func TestRefusedDialIsRepeatedForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		netw := simnet.New()
		a := simNode(t, netw, 1)
		defer a.Close()
		a.SetPeers([]Peer{{ID: 2, Addr: "10.0.0.2:7000"}})
		time.Sleep(time.Hour)
		want(t, "events", a.history(), []string(nil))
		b := simNode(t, netw, 2)
		defer b.Close()
		introduce(a, b)
		settle()
		want(t, "events", a.history(), []string{"up 2/7"})
	})
}

func TestCrashedPeerIsDownAtOnceAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		netw := simnet.New()
		a, b := simNode(t, netw, 1), simNode(t, netw, 2)
		defer b.Close()
		introduce(a, b)
		settle()
		netw.Host(host(1)).Crash()
		synctest.Wait()
		want(t, "up", b.Up(1), false)
		a.Close()
		a2 := simNode(t, netw, 1, func(c *Config) {
			self := c.Self
			c.Self = func() Identity { id := self(); id.Incarnation = 8; return id }
		})
		defer a2.Close()
		introduce(a2, b)
		time.Sleep(time.Second)
		want(t, "events", b.history(), []string{"up 1/7", "down 1/7", "up 1/8"})
	})
}

func TestRemovedPeerIsDisconnected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		netw := simnet.New()
		a, b := simNode(t, netw, 1), simNode(t, netw, 2)
		defer a.Close()
		defer b.Close()
		introduce(a, b)
		settle()
		b.SetPeers(nil)
		synctest.Wait()
		want(t, "events", b.history(), []string{"up 1/7", "down 1/7"})
		if !errors.Is(b.lastCause(), ErrRemoved) {
			t.Fatal(b.lastCause())
		}
		time.Sleep(time.Minute)
		want(t, "a stranger now", a.Up(2), false)
		introduce(a, b)
		time.Sleep(time.Second)
		want(t, "back", []bool{a.Up(2), b.Up(1)}, []bool{true, true})
	})
}

// Who may not be a peer is told why, in few lines.
func TestRefusedPeers(t *testing.T) {
	identity := func(f func(*Identity)) func(*Config) {
		return func(c *Config) {
			self := c.Self
			c.Self = func() Identity { id := self(); f(&id); return id }
		}
	}
	for _, c := range []struct {
		name   string
		change func(*Config)
		cause  error
	}{
		{"wrong secret", func(c *Config) { c.Secret = []byte("another") }, ErrSecret},
		{"no secret", func(c *Config) { c.Secret = nil; c.IsLoopback = func(net.Addr) bool { return true } }, ErrSecret},
		{"wrong cluster", identity(func(i *Identity) { i.Cluster = ring.ClusterID{9} }), ErrCluster},
		{"no cluster", identity(func(i *Identity) { i.Cluster = ring.ClusterID{} }), ErrCluster},
		{"wrong version", identity(func(i *Identity) { i.Version = 2 }), ErrVersion},
		{"another id than expected", identity(func(i *Identity) { i.Node = 3 }), ErrIdentity},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				netw := simnet.New()
				a, b := simNode(t, netw, 1), simNode(t, netw, 2, c.change)
				defer a.Close()
				defer b.Close()
				introduce(a, b)
				time.Sleep(30 * time.Second)
				want(t, "events", append(a.history(), b.history()...), []string(nil))
				lines := a.logged()
				if len(lines) == 0 || len(lines) > 4 || !strings.Contains(lines[0], c.cause.Error()) {
					t.Fatalf("log of the dialler: %q", lines)
				}
				if lines := b.logged(); len(lines) > 8 {
					t.Fatalf("log of the acceptor: %q", lines)
				}
			})
		})
	}
}

func TestWithoutSecretOnlyLoopbackIsSpokenTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := func(c *Config) { c.Secret = nil }
		netw := simnet.New()
		a, b := simNode(t, netw, 1, open), simNode(t, netw, 2, open)
		introduce(a, b)
		time.Sleep(3 * time.Second)
		want(t, "up", a.Up(2) || b.Up(1), false)
		if _, err := a.Request(t.Context(), b.addr, nil); !errors.Is(err, ErrNotLoopback) {
			t.Fatal(err)
		}
		conn, err := netw.Host(host(3)).Dial(t.Context(), b.addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Fatal("a foreign address was served")
		}
		a.Close()
		b.Close()
	})
}

func TestSameNodeTwiceNewestWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		netw := simnet.New()
		a, b := simNode(t, netw, 1), simNode(t, netw, 2)
		introduce(a, b)
		settle()
		// Cut a's old connection off without b noticing, then let a connect anew.
		old := (*a.table.Load())[2].link.Load()
		netw.Cut(host(1), host(2))
		old.close(errors.New("test"))
		netw.Host(host(1)) // the end of the old connection is still held back
		netw.Heal(host(1), host(2))
		time.Sleep(300 * time.Millisecond)
		want(t, "events", b.history(), []string{"up 1/7", "down 1/7", "up 1/7"})
		a.Close()
		b.Close()
	})
}
