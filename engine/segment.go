package engine

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A segment is a file of log records from its first byte on, and after them whatever an earlier life of the file left.
// A record is one tick, or a piece of a large one:
//
//	crc32c (4 bytes) over the segment's number and all that follows
//	length of the body (4)
//	sequence (8): that of the record before it plus one, across segments, for ever
//	durable (8): a sequence up to which everything was on the disk when this was written
//	body: entries
//
// all little endian. What an earlier life of the file left fails the sum, because the number is another. A record that
// fails it where others follow that knew it to be durable is damage; else it is where a crash ended the log.
const (
	tickHeader     = 24
	segmentSuffix  = ".log"
	longestSegment = 1 << 31 // offsets are 32 bits
)

func segmentName(num uint32) string { return fmt.Sprintf("%010d%s", num, segmentSuffix) }

func parseSegmentName(name string) (num uint32, ok bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	n, err := strconv.ParseUint(digits, 10, 32)
	return uint32(n), ok && err == nil && name == segmentName(uint32(n))
}

// sealTick fills in the header of a record whose body follows it.
func sealTick(b []byte, num uint32, seq, durable uint64) {
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)-tickHeader))
	binary.LittleEndian.PutUint64(b[8:], seq)
	binary.LittleEndian.PutUint64(b[16:], durable)
	binary.LittleEndian.PutUint32(b, tickSum(b, num))
}

func tickSum(b []byte, num uint32) uint32 {
	var n [4]byte
	binary.LittleEndian.PutUint32(n[:], num)
	return crc32.Update(crc32.Checksum(n[:], castagnoli), castagnoli, b[4:])
}

// logRecord is a record as read.
type logRecord struct {
	at           int // offset in its segment
	seq, durable uint64
	body         []byte
}

// recordAt reads the record at an offset of a segment's bytes. ok is false when no whole record is there.
func recordAt(b []byte, at int, num uint32) (r logRecord, ok bool) {
	if len(b)-at <= tickHeader {
		return r, false
	}
	n := binary.LittleEndian.Uint32(b[at+4:])
	if n == 0 || uint64(n) > uint64(len(b)-at-tickHeader) {
		return r, false
	}
	end := at + tickHeader + int(n)
	if tickSum(b[at:end], num) != binary.LittleEndian.Uint32(b[at:]) {
		return r, false
	}
	return logRecord{at, binary.LittleEndian.Uint64(b[at+8:]), binary.LittleEndian.Uint64(b[at+16:]), b[at+tickHeader : end]}, true
}

func (r *logRecord) end() int { return r.at + tickHeader + len(r.body) }

// durableBehind looks, behind the place where the log ended, for records that were written after sequence seq was
// durable. They prove that what is missing was once there.
func durableBehind(b []byte, from int, num uint32, seq uint64) bool {
	for at := from; len(b)-at > tickHeader; at++ {
		// Nearly every offset fails here: a sequence is a small number at a fixed place.
		if d := binary.LittleEndian.Uint64(b[at+8:]) - seq; d > 1<<40 {
			continue
		}
		if r, ok := recordAt(b, at, num); ok && r.durable >= seq {
			return true
		}
	}
	return false
}

// readSegment reads a whole segment.
func readSegment(f vfs.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > longestSegment {
		return nil, fmt.Errorf("a segment of %d bytes", info.Size())
	}
	b := make([]byte, info.Size())
	n := 0
	for n < len(b) {
		k, err := f.ReadAt(b[n:], int64(n))
		n += k
		if err != nil && n < len(b) {
			return nil, err
		}
	}
	return b, nil
}
