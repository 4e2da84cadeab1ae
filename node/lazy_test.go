package node

import (
	"bytes"
	"testing"

	"shoal/causal"
	"shoal/wire"
)

func lazyCopy(key, value string) wire.Item {
	d := causal.Dot{Actor: 1, Seq: 1}
	return wire.Item{Kind: wire.ItemWrite, Key: []byte(key), Row: causal.Container{
		Versions: []causal.Version{{Dot: d, Kind: causal.KindString, HLC: 1, Payload: []byte(value)}}, Vector: causal.Vector{d},
	}}
}

// Copies wait only when nobody waits for them, and go before what is said next, in order.
func TestLazyCopiesKeepTheirOrderAndDelayNobody(t *testing.T) {
	var l lazyCopies
	if l.postpone([]wire.Item{lazyCopy("a", "1"), {Kind: wire.ItemAck, ID: 7}}) || l.n != 0 || len(l.items) != 0 {
		t.Fatal("an acknowledgement was postponed")
	}
	asked := lazyCopy("a", "1")
	asked.ID = 9
	if l.postpone([]wire.Item{asked}) {
		t.Fatal("a copy that a client waits for was postponed")
	}
	for _, k := range []string{"a", "b", "c"} {
		if !l.postpone([]wire.Item{lazyCopy(k, "v")}) {
			t.Fatal("a copy that nobody waits for was not postponed")
		}
	}
	var keys []byte
	wire.AppendFrames(nil, wire.Header{}, l.take(), []wire.Item{lazyCopy("d", "v")}, frameBytes, 0, func(f []byte) {
		_, items, err := wire.DecodeFrame(bytes.Clone(f))
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range items {
			keys = append(keys, it.Key...)
		}
	})
	if string(keys) != "abcd" || l.n != 0 {
		t.Fatalf("%q", keys)
	}
}

func TestLazyCopiesAreBounded(t *testing.T) {
	var l lazyCopies
	if l.postpone([]wire.Item{lazyCopy("k", string(make([]byte, lazyBytes)))}) || len(l.items) != 0 {
		t.Fatal("a large value waits")
	}
	n := 0
	for l.postpone([]wire.Item{lazyCopy("k", "v")}) {
		n++
	}
	if n == 0 || n > lazyItems || len(l.items) > lazyBytes {
		t.Fatalf("%d copies of %d bytes wait", n, len(l.items))
	}
}
