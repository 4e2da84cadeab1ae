package gossip

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"

	"shoal/ring"
	"shoal/test/simnet"
)

// The label keeps clusters apart; should it ever not, what is announced still does.
func TestDelegateRefuses(t *testing.T) {
	d := delegate{&Gossip{cfg: Config{Self: 1, Cluster: testCluster}.withDefaults(), view: newView(1)}}
	node := func(name string, a announcement, ip string) *memberlist.Node {
		b, err := a.encode()
		if err != nil {
			t.Fatal(err)
		}
		return &memberlist.Node{Name: name, Addr: net.ParseIP(ip), Port: 7, Meta: b}
	}
	two, foreign := ring.NodeID(2), ring.ClusterID{9}
	good := announcement{cluster: testCluster, node: two, meta: meta(2)}
	for _, c := range []struct {
		name string
		node *memberlist.Node
		want error
	}{
		{"good", node(two.String(), good, "127.0.0.1"), nil},
		{"foreign", node(two.String(), announcement{cluster: foreign, node: two}, "127.0.0.1"), errForeign},
		{"other name", node("n2", good, "127.0.0.1"), errName},
		{"unheard address", node(two.String(), good, "10.0.0.1"), errAddress},
		{"damaged", &memberlist.Node{Name: two.String(), Meta: []byte("?")}, ErrMeta},
	} {
		if err := d.NotifyAlive(c.node); !errors.Is(err, c.want) {
			t.Errorf("alive, %s: %v", c.name, err)
		}
		wantMerge := c.want
		if c.want != errForeign {
			wantMerge = nil // one bad member does not spoil the others
		}
		if err := d.NotifyMerge([]*memberlist.Node{c.node}); !errors.Is(err, wantMerge) {
			t.Errorf("merge, %s: %v", c.name, err)
		}
	}
}

// Garbage in packets and streams reaches memberlist's decoders only up to the label.
func TestGarbageIsSurvived(t *testing.T) {
	for _, secret := range [][]byte{nil, []byte("secret")} {
		synctest.Test(t, func(t *testing.T) {
			network := simnet.New()
			a := start(t, network, 1, func(c *Config) {
				c.Secret, c.IsLoopback = secret, func(net.Addr) bool { return true }
			})
			h := network.Host(host(9))
			p, _ := h.ListenPacket(":1")
			r := rand.New(rand.NewPCG(1, 2))
			label, _ := memberlist.AddLabelHeaderToPacket([]byte{0}, testCluster.String())
			for i := range 3000 {
				b := make([]byte, r.IntN(200))
				for j := range b {
					b[j] = byte(r.Uint32())
				}
				if i%2 == 0 {
					b = append(label[:len(label)-1:len(label)-1], append([]byte{byte(i / 2 % 20)}, b...)...)
				}
				_, _ = p.WriteTo(b, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(addr(1))))
				if i%10 == 0 {
					if c, err := h.Dial(t.Context(), addr(1)); err == nil {
						_, _ = c.Write(b)
						_ = c.Close()
					}
					time.Sleep(10 * time.Millisecond)
				}
			}
			sees(t, a, 1)
			stop(a)
		})
	}
}
