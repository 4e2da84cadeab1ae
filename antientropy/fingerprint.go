package antientropy

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"shoal/causal"
)

// skewMargin is how long after its expiry a version still counts in a comparison, ms: twice the bound of the clocks'
// skew, so that no owner takes it for live that answers it as expired.
const skewMargin = 1000

// Fingerprint is a hash of a row as far as replicas must agree on it (design, section 8): its key, its live versions and
// its vector; 0 for a row without a live version, as for one that is not there. row is the row as View shows it. Left
// out are tombstones, versions that expired some time before at (unix ms), and what horizon and flushes cover of the
// vector: these leave the owners' rows at different moments.
func Fingerprint(rep *causal.Replica, key []byte, row causal.Container, at int64, horizon causal.Vector) uint64 {
	var buf [512]byte
	b := buf[:0]
	for i := range row.Versions {
		v := &row.Versions[i]
		if !v.Live(at - skewMargin) {
			continue
		}
		b = appendDot(b, v.Dot)
		b = append(b, byte(v.Kind))
		b = binary.BigEndian.AppendUint64(b, v.HLC)
		b = binary.BigEndian.AppendUint64(b, uint64(v.Expiry))
		b = binary.BigEndian.AppendUint64(b, xxhash.Sum64(v.Payload))
	}
	if len(b) == 0 {
		return 0
	}
	b = append(b, '|')
	for _, d := range row.Vector {
		if !horizon.Covers(d) && rep.Flushed.Base(d.Actor) < d.Seq {
			b = appendDot(b, d)
		}
	}
	return max(1, mix(xxhash.Sum64(b), xxhash.Sum64(key)))
}

func appendDot(b []byte, d causal.Dot) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(d.Actor))
	return binary.BigEndian.AppendUint64(b, d.Seq)
}

// mix makes one hash of two.
func mix(a, b uint64) uint64 {
	x := (a ^ b*0x9E3779B97F4A7C15) * 0xD6E8FEB86659FD93
	return (x ^ x>>32) * 0xD6E8FEB86659FD93
}
