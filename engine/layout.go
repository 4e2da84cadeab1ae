package engine

import (
	"bytes"
	"encoding/binary"

	"shoal/causal"
	"shoal/ring"
)

// Keyspaces: the first byte of every key. The values are part of the stored format: append, never renumber.
const (
	spaceMeta    = 0x01 // name: what the store keeps of itself
	spaceReplica = 0x02 // partition: snapshot of the replica
	spaceLog     = 0x03 // partition | actor | seq: a processed dot
	spaceData    = 0x04 // partition | slot | key | kind ...: rows
	spaceHint    = 0x05 // partition | slot | key | kind: hints, as rows
	spaceRange   = 0x06 // reserved: partition | actor | seq, range tombstones apart from the log
)

// Row kinds: what follows the key in a row's name. A suffix of the kind (element name) sorts inside its key.
const rowContainer = 0x00 // kinds above it are reserved for headers and elements of collections

// Keys are escaped so that no key is a prefix of another and elements of a key sort together: 0x00 becomes 00 FF, and
// 00 01 ends the key. Escaped keys keep the order of the keys.
const (
	escape     = 0x00
	escapedNul = 0xFF
	terminator = 0x01
)

func appendSlot(b []byte, space byte, p ring.Partition, slot ring.Slot) []byte {
	b = append(b, space)
	b = binary.BigEndian.AppendUint16(b, uint16(p))
	return binary.BigEndian.AppendUint16(b, uint16(slot))
}

// appendRow appends the name of the row that holds the key's container.
func appendRow(b []byte, p ring.Partition, slot ring.Slot, key []byte) []byte {
	b = appendSlot(b, spaceData, p, slot)
	for {
		i := bytes.IndexByte(key, escape)
		if i < 0 {
			b = append(b, key...)
			break
		}
		b = append(append(b, key[:i]...), escape, escapedNul)
		key = key[i+1:]
	}
	return append(b, escape, terminator, rowContainer)
}

// parseRow takes a row's name apart. ok is false for names of another kind. The key is a copy.
func parseRow(name []byte) (p ring.Partition, slot ring.Slot, key []byte, ok bool) {
	return parseRowInto(make([]byte, 0, len(name)), name)
}

// parseRowInto appends the key to buf, which is empty.
func parseRowInto(buf, name []byte) (p ring.Partition, slot ring.Slot, key []byte, ok bool) {
	if len(name) == 0 || name[0] != spaceData {
		return 0, 0, nil, false
	}
	return parseEscaped(buf, name)
}

func parseEscaped(buf, name []byte) (p ring.Partition, slot ring.Slot, key []byte, ok bool) {
	if len(name) < 8 {
		return 0, 0, nil, false
	}
	p = ring.Partition(binary.BigEndian.Uint16(name[1:]))
	slot = ring.Slot(binary.BigEndian.Uint16(name[3:]))
	rest := name[5:]
	key = buf
	for {
		i := bytes.IndexByte(rest, escape)
		if i < 0 || i+1 >= len(rest) {
			return 0, 0, nil, false
		}
		key = append(key, rest[:i]...)
		if rest[i+1] == terminator {
			return p, slot, key, len(rest) == i+3 && rest[i+2] == rowContainer
		}
		if rest[i+1] != escapedNul {
			return 0, 0, nil, false
		}
		key = append(key, escape)
		rest = rest[i+2:]
	}
}

// partitionOf is the partition in a name that has one.
func partitionOf(name []byte) ring.Partition {
	return ring.Partition(binary.BigEndian.Uint16(name[1:]))
}

// slotOfRow is the slot in a row's name.
func slotOfRow(name []byte) ring.Slot { return ring.Slot(binary.BigEndian.Uint16(name[3:])) }

// appendSpace appends the common prefix of a partition in a keyspace.
func appendSpace(b []byte, space byte, p ring.Partition) []byte {
	return binary.BigEndian.AppendUint16(append(b, space), uint16(p))
}

// appendDot appends the name of a log entry.
func appendDot(b []byte, p ring.Partition, d causal.Dot) []byte {
	b = appendSpace(b, spaceLog, p)
	b = binary.BigEndian.AppendUint64(b, uint64(d.Actor))
	return binary.BigEndian.AppendUint64(b, d.Seq)
}

func parseDot(name []byte) (causal.Dot, bool) {
	if len(name) != 19 || name[0] != spaceLog {
		return causal.Dot{}, false
	}
	return causal.Dot{Actor: causal.Actor(binary.BigEndian.Uint64(name[3:])), Seq: binary.BigEndian.Uint64(name[11:])}, true
}

func appendMeta(b []byte, key string) []byte { return append(append(b, spaceMeta), key...) }

// after returns the least name above every name with the prefix. No prefix here is all 0xFF.
func after(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; ; i-- {
		end[i]++
		if end[i] != 0 {
			return end[:i+1]
		}
	}
}
