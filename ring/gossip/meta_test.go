package gossip

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"shoal/ring"
)

func TestAnnouncementRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringN(0, 30, 60)
		want := announcement{
			cluster: ring.ClusterID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "cluster")),
			node:    ring.NodeID(rapid.Uint64Min(1).Draw(t, "node")),
			meta:    Meta{Name: text.Draw(t, "name"), Client: text.Draw(t, "client"), Peer: text.Draw(t, "peer")},
		}
		b, err := want.encode()
		if err != nil {
			t.Fatal(err)
		}
		// A later version may append.
		for _, c := range [][]byte{b, append(append([]byte{9}, b[1:]...), 1, 2, 3)} {
			if got, err := decodeAnnouncement(c); err != nil || got != want {
				t.Fatalf("%+v, %v", got, err)
			}
		}
		for i := range b {
			if _, err := decodeAnnouncement(b[:i]); !errors.Is(err, ErrMeta) {
				t.Fatalf("cut at %d: %v", i, err)
			}
		}
	})
}

func TestAnnouncementTooLong(t *testing.T) {
	a := announcement{node: 1, meta: Meta{Name: strings.Repeat("x", MetaMax)}}
	if _, err := a.encode(); !errors.Is(err, ErrMeta) {
		t.Fatal(err)
	}
}

func FuzzAnnouncement(f *testing.F) {
	good, _ := announcement{cluster: testCluster, node: 5, meta: meta(5)}.encode()
	f.Add(good)
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := decodeAnnouncement(b)
		if err != nil {
			return
		}
		again, err := a.encode()
		if err != nil {
			t.Fatalf("decoded what cannot be announced: %v", err)
		}
		if back, err := decodeAnnouncement(again); err != nil || back != a {
			t.Fatalf("%+v, %v", back, err)
		}
	})
}
