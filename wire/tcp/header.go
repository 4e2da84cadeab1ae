package tcp

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Every frame, fragment and ping begins with a header of 12 bytes, big-endian:
//
//	0  u32 bytes of payload that follow
//	4  u16 stream: 0 for a whole frame, else which frame this is a fragment of
//	6  u8  flags: bit 0, more fragments follow
//	7  u8  type
//	8  u32 CRC-32C of bytes 0..7 and the payload
const headerSize = 12

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

// appendUnit appends a header and its payload.
func appendUnit(b []byte, kind uint8, stream uint16, more bool, payload []byte) []byte {
	at := len(b)
	b = binary.BigEndian.AppendUint32(b, uint32(len(payload)))
	b = binary.BigEndian.AppendUint16(b, stream)
	flags := byte(0)
	if more {
		flags = flagMore
	}
	b = append(b, flags, kind)
	sum := crc32.Update(crc32.Checksum(b[at:], castagnoli), castagnoli, payload)
	b = binary.BigEndian.AppendUint32(b, sum)
	return append(b, payload...)
}

// decodeHeader reads the header at the start of b, which holds at least headerSize bytes, and refuses whatever this
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
