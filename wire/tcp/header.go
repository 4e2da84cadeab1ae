package tcp

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// HeaderSize is the size, in bytes, of what begins every frame, fragment and ping. Big-endian:
//
//	0  u32 bytes of payload that follow
//	4  u16 stream: 0 for a whole frame, else which frame this is a fragment of
//	6  u8  flags: bit 0, more fragments follow
//	7  u8  type
//	8  u32 CRC-32C of bytes 0..7 and the payload
const HeaderSize = 12

const flagMore = 1

// What a header announces.
const (
	typeData = 1
	typePing = 2 // no payload; says only that the sender is there
)

type header struct {
	length int
	stream uint16
	more   bool
	kind   uint8
	sum    uint32
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal writes the header into the first HeaderSize bytes of unit; the rest is the payload.
func seal(unit []byte, kind uint8, stream uint16, more bool) {
	binary.BigEndian.PutUint32(unit, uint32(len(unit)-HeaderSize))
	binary.BigEndian.PutUint16(unit[4:], stream)
	unit[6] = 0
	if more {
		unit[6] = flagMore
	}
	unit[7] = kind
	sum := crc32.Update(crc32.Checksum(unit[:8], castagnoli), castagnoli, unit[HeaderSize:])
	binary.BigEndian.PutUint32(unit[8:], sum)
}

// appendUnit appends a header and its payload.
func appendUnit(b []byte, kind uint8, stream uint16, more bool, payload []byte) []byte {
	at := len(b)
	b = append(b, make([]byte, HeaderSize)...)
	b = append(b, payload...)
	seal(b[at:], kind, stream, more)
	return b
}

// decodeHeader reads the header at the start of b, which holds at least HeaderSize bytes, and refuses whatever this
// package would not send, before anybody allocates by it.
func decodeHeader(b []byte) (header, error) {
	h := header{
		length: int(binary.BigEndian.Uint32(b)),
		stream: binary.BigEndian.Uint16(b[4:]),
		more:   b[6]&flagMore != 0,
		kind:   b[7],
		sum:    binary.BigEndian.Uint32(b[8:]),
	}
	switch {
	case b[6]&^flagMore != 0:
		return header{}, fmt.Errorf("%w: unknown flags %#x", ErrProtocol, b[6])
	case h.length > FragmentSize:
		return header{}, fmt.Errorf("%w: length %d", ErrProtocol, h.length)
	case h.kind == typePing:
		if h.length != 0 || h.stream != 0 || h.more {
			return header{}, fmt.Errorf("%w: a ping that carries something", ErrProtocol)
		}
	case h.kind != typeData:
		return header{}, fmt.Errorf("%w: unknown type %d", ErrProtocol, h.kind)
	case h.more && (h.stream == 0 || h.length == 0):
		return header{}, fmt.Errorf("%w: an empty fragment or one of no stream", ErrProtocol)
	}
	return h, nil
}

// check compares the checksum of a header's first eight bytes, as received, and its payload.
func (h header) check(first8, payload []byte) error {
	if crc32.Update(crc32.Checksum(first8, castagnoli), castagnoli, payload) != h.sum {
		return fmt.Errorf("%w: checksum", ErrProtocol)
	}
	return nil
}
