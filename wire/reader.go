package wire

import (
	"encoding/binary"
	"fmt"

	"shoal/causal"
	"shoal/ring"
)

// reader reads from the front of b. After the first error everything reads as zero.
type reader struct {
	b      []byte
	err    error
	memory *Decoder
}

// newOp takes memory for an operation. What was taken before stays where it is when the slice grows.
func (r *reader) newOp() *Op {
	r.memory.ops = append(r.memory.ops, Op{})
	return &r.memory.ops[len(r.memory.ops)-1]
}

func (r *reader) newResult() *Result {
	r.memory.results = append(r.memory.results, Result{})
	return &r.memory.results[len(r.memory.results)-1]
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
		r.b = nil
	}
}

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.fail("too short")
		return nil
	}
	x := r.b[:n:n]
	r.b = r.b[n:]
	return x
}

func (r *reader) byte() byte {
	if x := r.take(1); x != nil {
		return x[0]
	}
	return 0
}

func (r *reader) uint16() uint16 {
	if x := r.take(2); x != nil {
		return binary.BigEndian.Uint16(x)
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if x := r.take(4); x != nil {
		return binary.BigEndian.Uint32(x)
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if x := r.take(8); x != nil {
		return binary.BigEndian.Uint64(x)
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	x, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail("bad varint")
		return 0
	}
	r.b = r.b[n:]
	return x
}

func (r *reader) varint() int64 {
	x, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail("bad varint")
		return 0
	}
	r.b = r.b[n:]
	return x
}

// count reads a number of items of at least size bytes each and refuses more than can follow.
func (r *reader) count(size int) int {
	n := r.uvarint()
	if n > uint64(len(r.b)/size) {
		r.fail("%d items in %d bytes", n, len(r.b))
		return 0
	}
	return int(n)
}

func (r *reader) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.fail("%d bytes of %d", n, len(r.b))
		return nil
	}
	if n == 0 {
		return nil
	}
	return r.take(int(n))
}

func (r *reader) sized() []byte { return r.take(int(r.uint32())) }

func (r *reader) partition() ring.Partition {
	p := r.uint16()
	if p >= ring.Slots {
		r.fail("partition %d", p)
	}
	return ring.Partition(p)
}

func (r *reader) slot() ring.Slot {
	s := r.uint16()
	if s >= ring.Slots {
		r.fail("slot %d", s)
	}
	return ring.Slot(s)
}

func (r *reader) dot() causal.Dot {
	return causal.Dot{Actor: causal.Actor(r.uint64()), Seq: r.uvarint()}
}

func (r *reader) container() causal.Container {
	c, err := r.memory.rows.Decode(r.sized())
	if err != nil {
		r.fail("%v", err)
	}
	return c
}

func (r *reader) clock() *causal.Clock {
	c, err := causal.DecodeClock(r.sized())
	if err != nil {
		r.fail("%v", err)
	}
	return &c
}
