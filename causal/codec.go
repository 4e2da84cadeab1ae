package causal

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Format is the first byte of every encoding of this package: the version of the format.
const Format = 1

// ErrMalformed is wrapped by every decoding error.
var ErrMalformed = errors.New("malformed causal encoding")

// All encodings are canonical: one value has one encoding, and a decoder refuses any other, so bytes can be compared
// and hashed. Integers are minimal unsigned varints, actors 8 bytes big endian.

// Append encodes the vector: count, then (actor, seq) each.
func (v Vector) Append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(v)))
	for _, d := range v {
		b = binary.BigEndian.AppendUint64(b, uint64(d.Actor))
		b = binary.AppendUvarint(b, d.Seq)
	}
	return b
}

// Append encodes the container: format, vector, count, then per version the index of its actor in the vector, seq,
// kind, hlc, expiry, payload length, payload.
func (c Container) Append(b []byte) []byte {
	b = append(b, Format)
	b = c.Vector.Append(b)
	b = binary.AppendUvarint(b, uint64(len(c.Versions)))
	at := 0
	for i := range c.Versions {
		v := &c.Versions[i]
		for c.Vector[at].Actor != v.Dot.Actor { // both are sorted by actor
			at++
		}
		b = binary.AppendUvarint(b, uint64(at))
		b = binary.AppendUvarint(b, v.Dot.Seq)
		b = append(b, byte(v.Kind))
		b = binary.AppendUvarint(b, v.HLC)
		b = binary.AppendUvarint(b, uint64(v.Expiry))
		b = binary.AppendUvarint(b, uint64(len(v.Payload)))
		b = append(b, v.Payload...)
	}
	return b
}

// Size is an upper bound of the container's encoded length in bytes.
func (c Container) Size() int {
	n := 1 + binary.MaxVarintLen64 + len(c.Vector)*(8+binary.MaxVarintLen64) + binary.MaxVarintLen64
	for i := range c.Versions {
		n += 5*binary.MaxVarintLen64 + 1 + len(c.Versions[i].Payload)
	}
	return n
}

// DecodeContainer decodes a whole buffer. Payloads alias b.
func DecodeContainer(b []byte) (Container, error) {
	d := decoder{b: b}
	return d.container()
}

func (d *decoder) container() (Container, error) {
	d.format()
	c := Container{Vector: d.vector()}
	n := d.count(6)
	if n > 0 {
		c.Versions = d.arena.takeVersions(n)
	}
	for range n {
		var v Version
		at := d.uvarint()
		if d.err == nil && at >= uint64(len(c.Vector)) {
			d.fail("actor index %d of %d", at, len(c.Vector))
		}
		if d.err != nil {
			break
		}
		v.Dot = Dot{c.Vector[at].Actor, d.uvarint()}
		v.Kind = Kind(d.byte())
		v.HLC = d.uvarint()
		expiry := d.uvarint()
		v.Expiry = int64(expiry)
		v.Payload = d.bytes()
		if v.Dot.Seq == 0 || v.Dot.Seq > c.Vector[at].Seq {
			d.fail("dot seq %d is not covered by the vector's %d", v.Dot.Seq, c.Vector[at].Seq)
		}
		if v.Expiry < 0 {
			d.fail("negative expiry")
		}
		if k := len(c.Versions); k > 0 && c.Versions[k-1].Dot.Compare(v.Dot) >= 0 {
			d.fail("versions out of order")
		}
		c.Versions = append(c.Versions, v)
	}
	if err := d.end(); err != nil {
		return Container{}, err
	}
	return c, nil
}

// Append encodes the clock: format, count, then per actor base, number of runs, and per run the gap to the previous
// end and the length less one.
func (c *Clock) Append(b []byte) []byte {
	b = append(b, Format)
	b = binary.AppendUvarint(b, uint64(len(c.entries)))
	for _, e := range c.entries {
		b = binary.BigEndian.AppendUint64(b, uint64(e.Actor))
		b = binary.AppendUvarint(b, e.Base)
		b = binary.AppendUvarint(b, uint64(len(e.Above)))
		last := e.Base
		for _, r := range e.Above {
			b = binary.AppendUvarint(b, r.From-last)
			b = binary.AppendUvarint(b, r.To-r.From)
			last = r.To
		}
	}
	return b
}

// DecodeClock decodes a whole buffer.
func DecodeClock(b []byte) (Clock, error) {
	d := decoder{b: b}
	d.format()
	var c Clock
	n := d.count(10)
	if n > 0 {
		c.entries = make([]Entry, 0, n)
	}
	for range n {
		e := Entry{Actor: Actor(d.uint64()), Base: d.uvarint()}
		last := e.Base
		runs := d.count(2)
		if runs > 0 {
			e.Above = make([]Range, 0, runs)
		}
		for range runs {
			gap, more := d.uvarint(), d.uvarint()
			r := Range{From: last + gap}
			r.To = r.From + more
			if gap < 2 || r.From < last || r.To < r.From {
				d.fail("run out of order")
				break
			}
			e.Above = append(e.Above, r)
			last = r.To
		}
		if e.Base == 0 && len(e.Above) == 0 {
			d.fail("empty clock entry")
		}
		if k := len(c.entries); k > 0 && c.entries[k-1].Actor >= e.Actor {
			d.fail("clock out of order")
		}
		if d.err != nil {
			break
		}
		c.entries = append(c.entries, e)
	}
	if err := d.end(); err != nil {
		return Clock{}, err
	}
	return c, nil
}

// Append encodes the context: format, vector, count of dots, (actor, seq) each.
func (x Context) Append(b []byte) []byte {
	b = append(b, Format)
	b = x.Vector.Append(b)
	b = binary.AppendUvarint(b, uint64(len(x.Dots)))
	for _, d := range x.Dots {
		b = binary.BigEndian.AppendUint64(b, uint64(d.Actor))
		b = binary.AppendUvarint(b, d.Seq)
	}
	return b
}

// DecodeContext decodes a whole buffer.
func DecodeContext(b []byte) (Context, error) {
	d := decoder{b: b}
	d.format()
	x := Context{Vector: d.vector()}
	n := d.count(9)
	if n > 0 {
		x.Dots = make([]Dot, 0, n)
	}
	for range n {
		dot := Dot{Actor(d.uint64()), d.uvarint()}
		if k := len(x.Dots); k > 0 && x.Dots[k-1].Compare(dot) >= 0 || x.Vector.Covers(dot) {
			d.fail("context dots out of order")
			break
		}
		x.Dots = append(x.Dots, dot)
	}
	if err := d.end(); err != nil {
		return Context{}, err
	}
	return x, nil
}

// DecodeVector decodes a vector at the start of b and returns the rest of b.
func DecodeVector(b []byte) (Vector, []byte, error) {
	d := decoder{b: b}
	v := d.vector()
	return v, d.b, d.err
}

// decoder reads from the front of b. After the first error every read returns zero, so loops end by their counts,
// which are bounded by the bytes that are left.
type decoder struct {
	b     []byte
	err   error
	arena *Arena // nil: every slice is allocated
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
		d.b = nil
	}
}

func (d *decoder) format() {
	if f := d.byte(); d.err == nil && f != Format {
		d.fail("format %d, this program knows %d", f, Format)
	}
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail("too short")
		return 0
	}
	x := d.b[0]
	d.b = d.b[1:]
	return x
}

func (d *decoder) uint64() uint64 {
	if len(d.b) < 8 {
		d.fail("too short")
		return 0
	}
	x := binary.BigEndian.Uint64(d.b)
	d.b = d.b[8:]
	return x
}

func (d *decoder) uvarint() uint64 {
	x, n := binary.Uvarint(d.b)
	if n <= 0 || n > 1 && d.b[n-1] == 0 { // too short, too long, or not minimal
		d.fail("bad varint")
		return 0
	}
	d.b = d.b[n:]
	return x
}

// count reads a number of items of at least size bytes each and refuses more than can follow.
func (d *decoder) count(size int) int {
	n := d.uvarint()
	if n > uint64(len(d.b)/size) {
		d.fail("%d items in %d bytes", n, len(d.b))
		return 0
	}
	return int(n)
}

func (d *decoder) bytes() []byte {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.fail("%d bytes of %d", n, len(d.b))
		return nil
	}
	x := d.b[:n:n]
	d.b = d.b[n:]
	if n == 0 {
		return nil
	}
	return x
}

func (d *decoder) vector() Vector {
	n := d.count(9)
	if n == 0 {
		return nil
	}
	v := d.arena.takeDots(n)
	for range n {
		e := Dot{Actor(d.uint64()), d.uvarint()}
		if k := len(v); k > 0 && v[k-1].Actor >= e.Actor || e.Seq == 0 {
			d.fail("vector out of order")
			return nil
		}
		v = append(v, e)
	}
	return v
}

func (d *decoder) end() error {
	if d.err == nil && len(d.b) > 0 {
		d.fail("%d bytes too many", len(d.b))
	}
	return d.err
}
