//go:build linux

package main

import (
	"bytes"
	"math/rand/v2"
)

const (
	keySize  = 16                 // "key:" and 12 digits
	noteSize = 8                  // digits of the place in the pool
	headSize = keySize + noteSize // what a value says about itself
	poolSize = 1 << 20
)

// values makes values that can be checked without remembering which one was written last: a value is its key, a place
// in a pool of random bytes, and the bytes from there.
type values struct {
	size int
	pool []byte
}

// newValues makes values of size bytes, which must be at least headSize.
func newValues(size int) *values {
	v := &values{size: size, pool: make([]byte, poolSize+size)}
	source := rand.NewChaCha8([32]byte{1})
	_, _ = source.Read(v.pool) // never fails
	return v
}

// append adds a value of the key, taken from the place that the random number chooses.
func (v *values) append(b []byte, key uint32, random uint64) []byte {
	at := int(random % poolSize)
	b = appendKey(b, key)
	b = appendDigits(b, uint32(at), noteSize)
	return append(b, v.pool[at:at+v.size-headSize]...)
}

// check reports whether b is a value of the key.
func (v *values) check(b []byte, key uint32) bool {
	if len(b) != v.size {
		return false
	}
	var name [keySize]byte
	if !bytes.Equal(b[:keySize], appendKey(name[:0], key)) {
		return false
	}
	at, ok := parseInt(b[keySize:headSize])
	return ok && at >= 0 && at < poolSize && bytes.Equal(b[headSize:], v.pool[at:at+v.size-headSize])
}

// appendKey adds a key's name.
func appendKey(b []byte, key uint32) []byte {
	return appendDigits(append(b, "key:"...), key, keySize-len("key:"))
}

// appendDigits adds n in so many decimal digits.
func appendDigits(b []byte, n uint32, digits int) []byte {
	const zeros = "000000000000"
	b = append(b, zeros[:digits]...)
	for i := len(b) - 1; n > 0; i-- {
		b[i] = '0' + byte(n%10)
		n /= 10
	}
	return b
}
