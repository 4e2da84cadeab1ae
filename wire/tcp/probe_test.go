package tcp

import (
	"errors"
	"testing"
	"testing/synctest"

	"shoal/ring"
	"shoal/test/simnet"
)

// A probe says who answers, member or not; and it is the living process that does.
func TestProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		netw := simnet.New()
		open := func(c *Config) { c.OnStranger = func(Identity, []byte) []byte { return nil } }
		a, b := simNode(t, netw, 1), simNode(t, netw, 2, open)
		defer a.Close()
		defer b.Close()
		c := simNode(t, netw, 3, open, func(c *Config) { // a node that belongs to no cluster yet
			self := c.Self
			c.Self = func() Identity { id := self(); id.Cluster = ring.ClusterID{}; return id }
		})
		defer c.Close()
		stranger := simNode(t, netw, 4, open, func(c *Config) { c.Secret = []byte("another") })
		defer stranger.Close()
		for _, x := range []*testNode{b, c} {
			id, err := a.Probe(t.Context(), x.addr)
			if err != nil || id.Node != x.id || id.Incarnation != 7 {
				t.Fatalf("probe of %d: %+v, %v", x.id, id, err)
			}
		}
		if _, err := a.Probe(t.Context(), stranger.addr); !errors.Is(err, ErrSecret) {
			t.Fatalf("who does not hold the secret: %v", err)
		}
		b.Close()
		if _, err := a.Probe(t.Context(), b.addr); err == nil {
			t.Fatal("nobody is there, and the probe says who")
		}
	})
}
