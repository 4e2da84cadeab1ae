package engine

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// A stored value is a seal and a payload: format (1 byte), crc32c (4 bytes, big endian) over format, name and
// payload, payload. The name is in the sum so that a row under a wrong name fails too.
const (
	sealFormat = 1
	sealSize   = 5
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var formatSum = crc32.Checksum([]byte{sealFormat}, castagnoli)

func sum(name, payload []byte) uint32 {
	c := crc32.Update(formatSum, castagnoli, name)
	return crc32.Update(c, castagnoli, payload)
}

// seal fills the first sealSize bytes of value, whose payload follows them.
func seal(name, value []byte) {
	value[0] = sealFormat
	binary.BigEndian.PutUint32(value[1:], sum(name, value[sealSize:]))
}

// unseal returns the payload, aliasing value.
func unseal(name, value []byte) ([]byte, error) {
	if len(value) < sealSize {
		return nil, fmt.Errorf("engine: %w: value of %d bytes has no checksum", ErrUnreadable, len(value))
	}
	if value[0] != sealFormat {
		return nil, fmt.Errorf("engine: %w: format %d, this program knows %d", ErrUnreadable, value[0], sealFormat)
	}
	if sum(name, value[sealSize:]) != binary.BigEndian.Uint32(value[1:]) {
		return nil, fmt.Errorf("engine: %w: checksum mismatch", ErrUnreadable)
	}
	return value[sealSize:], nil
}
