package ring

import "bytes"

// Slots is the number of hash slots, Redis Cluster's.
const Slots = 16384

// Slot is a hash slot, 0..16383.
type Slot uint16

// Partition is a fixed, contiguous run of Slots/Q slots.
type Partition uint16

// SlotOf returns the slot of a key exactly as Redis Cluster does: CRC16 of the key, or of its hash tag when it has
// one, modulo Slots.
func SlotOf(key []byte) Slot { return Slot(crc16(hashTag(key)) % Slots) }

// hashTag returns what is hashed of a key: the bytes between the first '{' and the first '}' after it, or the whole
// key when there is no such pair or nothing stands between.
func hashTag(key []byte) []byte {
	open := bytes.IndexByte(key, '{')
	if open < 0 {
		return key
	}
	n := bytes.IndexByte(key[open+1:], '}')
	if n <= 0 {
		return key
	}
	return key[open+1 : open+1+n]
}

// crcTable is CRC-16/XMODEM: polynomial 0x1021, initial value 0, nothing reflected, no final xor.
var crcTable = func() (t [256]uint16) {
	for i := range t {
		c := uint16(i) << 8
		for range 8 {
			if c&0x8000 != 0 {
				c = c<<1 ^ 0x1021
			} else {
				c <<= 1
			}
		}
		t[i] = c
	}
	return t
}()

func crc16(b []byte) (c uint16) {
	for _, x := range b {
		c = c<<8 ^ crcTable[byte(c>>8)^x]
	}
	return c
}
