package ring

import (
	"encoding/binary"
	"errors"
)

// ErrDamaged says that bytes are not what this package encodes, for errors.Is.
var ErrDamaged = errors.New("ring: damaged encoding")

// reader takes fixed-width big-endian fields off a byte slice. After the first failure it yields zeros and stays bad,
// so that a decoder checks once. Lengths are bounded by what is left, never trusted for an allocation.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if r.bad || n < 0 || n > len(r.b) {
		r.bad = true
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) u8() uint8 {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// str reads a string of up to 255 bytes.
func (r *reader) str() string { return string(r.take(int(r.u8()))) }

// done reports whether everything was read and nothing failed.
func (r *reader) done() bool { return !r.bad && len(r.b) == 0 }

func appendStr(b []byte, s string) []byte { return append(append(b, uint8(len(s))), s...) }
