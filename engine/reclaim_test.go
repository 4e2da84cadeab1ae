package engine

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Overwriting at random, the slabs stay within what reclaim.go says, with much memory free and with little.
func TestGarbageIsBounded(t *testing.T) {
	for _, budget := range []int64{256 << 20, 40 << 20, 16 << 20} {
		o := testOptions(vfs.NewMem(), 1, EverySec)
		o.MemoryBytes, o.LogBytes = budget, 256<<20
		s := mustOpen(t, o)
		must(t, s.Create(0))
		rng := rand.New(rand.NewPCG(1, 1))
		value := strings.Repeat("v", 1000)
		const keys, perTick = 5000, 16
		most := int64(0)
		for i := range 60_000 {
			k := uint32(i)
			if i >= keys {
				k = rng.Uint32N(keys)
			}
			set(t, s, 0, string(binary.BigEndian.AppendUint32(nil, k)), value, 0)
			if i%perTick == perTick-1 {
				must(t, s.EndTick())
				s.Recycle()
				most = max(most, s.mem.held)
			}
		}
		if limit := max(reclaimFloor, min(4*s.mem.live, budget/2), 2*s.mem.live) + 4*slabBytes; most > limit {
			t.Errorf("budget %d: the slabs held up to %d bytes, %d live; want at most %d", budget, most, s.mem.live, limit)
		}
		must(t, s.Close())
	}
}
