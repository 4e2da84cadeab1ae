package wire

import "encoding/binary"

// The byte form of the items of a comparison: partition, then the fields of the kind.
func (it *Item) appendCompare(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(it.Partition))
	switch it.Kind {
	case ItemSums, ItemKeys:
		b = binary.AppendVarint(b, it.Compare.At)
		b = it.Horizon.Append(b)
		b = binary.AppendUvarint(b, uint64(len(it.Compare.Leaves)))
		for _, l := range it.Compare.Leaves {
			b = append(b, l.Depth)
			b = binary.BigEndian.AppendUint16(b, uint16(l.Slot))
			b = binary.BigEndian.AppendUint64(b, l.Prefix)
		}
	case ItemHashed:
		b = it.Horizon.Append(b)
		b = it.appendDigests(b)
	case ItemFetch:
		b = it.appendDigests(b)
	case ItemFetched:
		b = appendSized(b, it.Clock.Append)
		b = it.appendRows(b)
	}
	return b
}

func (it *Item) appendDigests(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(it.Compare.Digests)))
	for i := range it.Compare.Digests {
		d := &it.Compare.Digests[i]
		b = binary.BigEndian.AppendUint16(b, uint16(d.Slot))
		b = appendBytes(b, d.Key)
		b = binary.BigEndian.AppendUint64(b, d.Digest)
	}
	return b
}

func (r *reader) compare(it *Item) {
	it.Partition = r.partition()
	if it.Kind != ItemFetched {
		it.Compare = new(Compare)
	}
	switch it.Kind {
	case ItemSums, ItemKeys:
		it.Compare.At, it.Horizon = r.varint(), r.vector()
		for range r.count(11) {
			it.Compare.Leaves = append(it.Compare.Leaves, Leaf{Depth: r.byte(), Slot: r.slot(), Prefix: r.uint64()})
		}
	case ItemHashed:
		it.Horizon = r.vector()
		r.digests(it)
	case ItemFetch:
		r.digests(it)
	case ItemFetched:
		it.Clock = r.clock()
		r.rows(it)
	}
}

func (r *reader) digests(it *Item) {
	for range r.count(11) {
		it.Compare.Digests = append(it.Compare.Digests, KeyDigest{Slot: r.slot(), Key: r.bytes(), Digest: r.uint64()})
	}
}
