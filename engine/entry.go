package engine

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"shoal/causal"
	"shoal/ring"
)

// What the body of a log record is made of. An entry is a kind (1 byte), a crc32c (4) over kind and what the sum
// covers, and:
//
//	put      name, dots | value: the sealed row, empty when the row was removed
//	mark     name, dots
//	flush    partition (2 bytes), dots (one), clock of what was dropped
//	adopt    partition, clock taken over
//	replica  partition, snapshot of the replica
//	reap     name, vector that the horizon is raised over | value, as in put
//	trim     partition, vector that the horizon is raised over
//	join     partition, what was taken over: clock, clock of what flushes dropped, horizon
//	hint     name | value, as in put
//	drop     partition, snapshot of the replica: no row before it counts
//
// Names, values, clocks and snapshots have their length before them, a varint that need not be minimal; dots their
// number. The sum covers what stands
// before the bar, all of it when there is none; a value has its own seal. So an entry can be read on its own, as the
// log of dots does, without reading the whole record.
const (
	entryPut     = 1
	entryMark    = 2
	entryFlush   = 3
	entryAdopt   = 4
	entryReplica = 5
	entryReap    = 6
	entryTrim    = 7
	entryJoin    = 8
	entryHint    = 9
	entryDrop    = 10
)

const entryHeader = 5

// entry is a decoded one. It aliases what it was decoded from, and dots is reused by the next decode into it.
type entry struct {
	kind  byte
	p     ring.Partition
	name  []byte
	dots  []causal.Dot
	over  causal.Vector
	block []byte // value, clock, vector or snapshot
}

var errEntry = errors.New("malformed log entry")

func appendDots(b []byte, dots []causal.Dot) []byte {
	b = binary.AppendUvarint(b, uint64(len(dots)))
	for _, d := range dots {
		b = binary.BigEndian.AppendUint64(b, uint64(d.Actor))
		b = binary.AppendUvarint(b, d.Seq)
	}
	return b
}

// beginEntry appends the head of an entry; endEntry fills in the sum of what was appended since.
func beginEntry(b []byte, kind byte) []byte { return append(b, kind, 0, 0, 0, 0) }

func endEntry(b []byte, at int) {
	binary.LittleEndian.PutUint32(b[at+1:], entrySum(b[at], b[at+entryHeader:]))
}

func entrySum(kind byte, b []byte) uint32 {
	return crc32.Update(uint32(kind)*0x9E3779B1, castagnoli, b)
}

// appendNamed appends a put up to its value, or a mark.
func appendNamed(b []byte, kind byte, name []byte, dots []causal.Dot) []byte {
	at := len(b)
	b = beginEntry(b, kind)
	b = binary.AppendUvarint(b, uint64(len(name)))
	b = append(b, name...)
	b = appendDots(b, dots)
	endEntry(b, at)
	return b
}

// appendReaped appends a reap up to its value.
func appendReaped(b, name []byte, over causal.Vector) []byte {
	at := len(b)
	b = beginEntry(b, entryReap)
	b = appendBlock(b, name)
	b = over.Append(b)
	endEntry(b, at)
	return b
}

// appendBlocked appends an entry of a partition.
func appendBlocked(b []byte, kind byte, p ring.Partition, dots []causal.Dot, block []byte) []byte {
	at := len(b)
	b = beginEntry(b, kind)
	b = binary.BigEndian.AppendUint16(b, uint16(p))
	if kind == entryFlush {
		b = appendDots(b, dots)
	}
	b = appendBlock(b, block)
	endEntry(b, at)
	return b
}

// decode reads the entry at the front of b and returns what follows it. With whole unset it needs no more of a put
// than comes before its value.
func (e *entry) decode(b []byte, whole bool) (rest []byte, err error) {
	if len(b) < entryHeader+2 {
		return nil, errEntry
	}
	start := b
	e.kind, e.name, e.block, e.dots, e.over, e.p = b[0], nil, nil, e.dots[:0], nil, 0
	b = b[entryHeader:]
	switch e.kind {
	case entryPut, entryMark, entryReap, entryHint:
		if e.name, b, err = takeBlock(b); err != nil || len(e.name) < 3 {
			return nil, errEntry
		}
		e.p = ring.Partition(binary.BigEndian.Uint16(e.name[1:]))
		switch e.kind {
		case entryReap:
			e.over, b, err = causal.DecodeVector(b)
		case entryPut, entryMark:
			b, err = e.takeDots(b)
		}
		if err != nil {
			return nil, errEntry
		}
	case entryFlush, entryAdopt, entryReplica, entryTrim, entryJoin, entryDrop:
		e.p = ring.Partition(binary.BigEndian.Uint16(b))
		b = b[2:]
		if e.kind == entryFlush {
			if b, err = e.takeDots(b); err != nil {
				return nil, err
			}
		}
		if e.block, b, err = takeBlock(b); err != nil {
			return nil, errEntry
		}
	default:
		return nil, errEntry
	}
	if entrySum(e.kind, start[entryHeader:len(start)-len(b)]) != binary.LittleEndian.Uint32(start[1:]) {
		return nil, errEntry
	}
	if whole && (e.kind == entryPut || e.kind == entryReap || e.kind == entryHint) {
		if e.block, b, err = takeBlock(b); err != nil {
			return nil, errEntry
		}
	}
	return b, nil
}

func (e *entry) takeDots(b []byte) ([]byte, error) {
	n, k := binary.Uvarint(b)
	if k <= 0 || n > uint64(len(b)-k)/9 {
		return nil, errEntry
	}
	b = b[k:]
	for range n {
		if len(b) < 9 {
			return nil, errEntry
		}
		d := causal.Dot{Actor: causal.Actor(binary.BigEndian.Uint64(b))}
		if d.Seq, k = binary.Uvarint(b[8:]); k <= 0 {
			return nil, errEntry
		}
		e.dots = append(e.dots, d)
		b = b[8+k:]
	}
	return b, nil
}
