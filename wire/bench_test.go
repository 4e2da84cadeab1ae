package wire

import (
	"fmt"
	"testing"

	"shoal/causal"
)

// A tick's frame for one peer: copies of 128-byte values.
func copies(n int) []Item {
	items := make([]Item, n)
	for i := range items {
		d := causal.Dot{Actor: 7, Seq: uint64(i + 1)}
		items[i] = Item{
			Kind: ItemWrite, ID: uint64(i), Slot: 5, Key: fmt.Appendf(nil, "key:%012d", i), Life: 7,
			Row: causal.Container{
				Versions: []causal.Version{{Dot: d, Kind: causal.KindString, HLC: 1 << 50, Payload: make([]byte, 128)}},
				Vector:   causal.Vector{d},
			},
		}
	}
	return items
}

// The figures are per frame.
func BenchmarkAppendFrames(b *testing.B) {
	for _, n := range []int{1, 16, 256} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			items, scratch := copies(n), []byte(nil)
			b.ReportAllocs()
			for b.Loop() {
				scratch = AppendFrames(scratch, someHeader, Encoded{}, items, 1<<20, 12, func([]byte) {})
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, n := range []int{1, 16, 256} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			frame := encode(someHeader, copies(n), 1<<20)[0]
			var d Decoder
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := d.Decode(frame); err != nil {
					b.Fatal(err)
				}
				d.Reset()
			}
		})
	}
}
