package gossip

import (
	"encoding/binary"
	"fmt"

	"shoal/ring"
)

// MetaMax is the number of bytes that what a member announces may take.
const MetaMax = 512

// metaVersion is the first byte. A later version may only append fields, which older nodes skip.
const metaVersion = 1

// Meta is what a member announces beside its id and cluster.
type Meta struct {
	Name   string // human name
	Client string // host:port that clients connect to
	Peer   string // host:port of the peer port
}

// announcement is Meta with what ties it to a node.
type announcement struct {
	cluster ring.ClusterID
	node    ring.NodeID
	meta    Meta
}

// encode returns version, cluster, node and then each string with its length before it. The error is ErrMeta when that
// is more than MetaMax bytes.
func (a announcement) encode() ([]byte, error) {
	b := make([]byte, 0, 128)
	b = append(b, metaVersion)
	b = append(b, a.cluster[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(a.node))
	for _, s := range []string{a.meta.Name, a.meta.Client, a.meta.Peer} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	if len(b) > MetaMax {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrMeta, len(b), MetaMax)
	}
	return b, nil
}

// decodeAnnouncement reads what a member announced. It takes any bytes; the error is ErrMeta.
func decodeAnnouncement(b []byte) (announcement, error) {
	var a announcement
	const fixed = 1 + len(a.cluster) + 8
	if len(b) > MetaMax || len(b) < fixed || b[0] < metaVersion {
		return announcement{}, ErrMeta
	}
	copy(a.cluster[:], b[1:])
	a.node = ring.NodeID(binary.BigEndian.Uint64(b[1+len(a.cluster):]))
	if a.node == 0 {
		return announcement{}, ErrMeta
	}
	rest := b[fixed:]
	for _, s := range []*string{&a.meta.Name, &a.meta.Client, &a.meta.Peer} {
		n, used := binary.Uvarint(rest)
		if used <= 0 || n > uint64(len(rest)-used) {
			return announcement{}, ErrMeta
		}
		*s = string(rest[used : used+int(n)])
		rest = rest[used+int(n):]
	}
	return a, nil
}
