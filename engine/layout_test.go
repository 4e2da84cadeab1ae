package engine

import (
	"math/rand/v2"
	"testing"

	"shoal/causal"
)

// Checksums stand before the decoders; these must survive any bytes all the same.
func TestDecodersSurviveAnyBytes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50_000 {
		b := make([]byte, rng.IntN(64))
		for i := range b {
			b[i] = byte(rng.Uint32())
			if rng.IntN(3) == 0 {
				b[i] = byte(rng.IntN(3))
			}
		}
		_, _, _, _ = parseRow(append([]byte{spaceData}, b...))
		_, _ = parseDot(b)
		_, _ = decodeRun(b)
		_, _ = decodeReplica(b)
		_, _ = unseal(nil, b)
		sealed := append(make([]byte, sealSize), b...)
		seal([]byte("n"), sealed)
		_, _ = decodeLog(causal.Dot{}, []byte("n"), sealed)
	}
}

func TestReplicaSnapshotsComeBack(t *testing.T) {
	var c causal.Clock
	for _, d := range []causal.Dot{{Actor: 1, Seq: 1}, {Actor: 1, Seq: 5}, {Actor: 9, Seq: 2}} {
		c.Add(d)
	}
	b := append(make([]byte, 8), appendBlock(appendBlock(nil, c.Append(nil)), (&causal.Clock{}).Append(nil))...)
	b = causal.Vector{{Actor: 3, Seq: 4}}.Append(b)
	r, err := decodeReplica(b)
	if must(t, err); !r.Clock.Equal(&c) || !r.Flushed.IsZero() || r.Horizon.Of(3) != 4 {
		t.Fatalf("%+v", r)
	}
}
