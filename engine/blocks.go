package engine

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/bits"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// When the sum of a block is wrong, Pebble flips each of its first 327,680 bits and sums it up again, to say whether it was
// one bit: half a second for a block of 16 KB, a minute for 1 MB, an hour for the largest value, each time that it is read,
// and the node stands still meanwhile. So blocks that are not small are looked at before Pebble sees them.

// blockFile is a sorted table that is read: blocks, each followed by its kind and its sum, and at the end a footer.
type blockFile struct {
	vfs.File
	name string
	size int64
}

const (
	smallBlock   = 1 << 10
	blockSumSize = 4
	blockSumMask = 0xa282ead8 // LevelDB's
)

// Open implements vfs.FS.
func (fs *checkFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := fs.FS.Open(name, opts...)
	if err != nil || !strings.HasSuffix(name, ".sst") {
		return f, err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &blockFile{File: f, name: name, size: info.Size()}, nil
}

// ReadAt implements vfs.File. Pebble reads a block with its kind and sum at once, and else only the file's end.
func (f *blockFile) ReadAt(p []byte, at int64) (int, error) {
	n, err := f.File.ReadAt(p, at)
	if err == nil && len(p) > smallBlock && at+int64(len(p)) < f.size && !soundBlock(p) {
		return n, fmt.Errorf("%w: the sum of the block of %d bytes at %d in %s is wrong", pebble.ErrCorruption, len(p), at, f.name)
	}
	return n, err
}

func soundBlock(p []byte) bool {
	body := p[:len(p)-blockSumSize]
	sum := bits.RotateLeft32(crc32.Checksum(body, castagnoli), -15) + blockSumMask
	return sum == binary.LittleEndian.Uint32(p[len(body):])
}
