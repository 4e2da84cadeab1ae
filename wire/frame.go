package wire

import (
	"encoding/binary"
	"errors"

	"shoal/causal"
)

// ProtocolVersion is the first byte of every frame. A node that speaks another one is refused at the handshake.
const ProtocolVersion = 1

// ErrMalformed is wrapped by every decoding error of this package.
var ErrMalformed = errors.New("malformed frame")

// Header stands before the items of a frame: version, capability bits, the sender's map epoch, its hybrid logical
// clock, and the deadline of the operations inside (unix ms by the sender's clock, 0 = none). Stream id and
// more-fragments bit stand one layer below, in the transport's header, where frames are cut into pieces.
type Header struct {
	Version      uint8
	Capabilities uint32
	Epoch        uint64
	HLC          uint64
	Deadline     int64
}

const headerSize = 1 + 4 + 8 + 8 + 8

// CapPassOver is the capability bit by which a node says that its clock is off: do not let it coordinate.
const CapPassOver uint32 = 1 << 0

// MaxItems bounds the items of a frame: an item is at least 3 bytes on the wire and some hundred in memory.
const MaxItems = 1 << 14

// Encoded is items in their byte form (Item.Append), one after another.
type Encoded struct {
	Bytes []byte
	Items int
}

// AppendFrames encodes the items in order, after those of first, as few frames as maxBytes, MaxItems and their deadlines allow, and hands
// each to emit, which must not keep it, after room bytes that emit may use for a header of its own. first is at most
// MaxItems items without a deadline, and less than maxBytes; only a frame of a single item may be larger than that,
// room not counted. The scratch buffer is returned for the next call.
func AppendFrames(scratch []byte, h Header, first Encoded, items []Item, maxBytes, room int, emit func(unit []byte)) []byte {
	head := room + headerSize
	b, n := scratch[:0], 0
	h.Deadline = 0
	flush := func(end int) {
		binary.BigEndian.PutUint64(b[head-8:], uint64(h.Deadline))
		emit(b[:end:end])
		n, h.Deadline = 0, 0
	}
	if first.Items > 0 {
		b = append(h.append(append(b, make([]byte, room)...)), first.Bytes...)
		n = first.Items
	}
	for i := range items {
		it := &items[i]
		if n >= MaxItems || n > 0 && it.Kind == ItemOp && h.Deadline != 0 && it.Deadline != h.Deadline {
			flush(len(b))
			b = b[:0]
		}
		if n == 0 {
			b = h.append(append(b[:0], make([]byte, room)...))
		}
		start := len(b)
		b = it.Append(b)
		if n > 0 && len(b)-room > maxBytes {
			flush(start)
			b = b[:head+copy(b[head:], b[start:])]
		}
		if n++; it.Kind == ItemOp {
			h.Deadline = it.Deadline
		}
	}
	if n > 0 {
		flush(len(b))
	}
	return b
}

func (h Header) append(b []byte) []byte {
	b = append(b, ProtocolVersion)
	b = binary.BigEndian.AppendUint32(b, h.Capabilities)
	b = binary.BigEndian.AppendUint64(b, h.Epoch)
	b = binary.BigEndian.AppendUint64(b, h.HLC)
	return binary.BigEndian.AppendUint64(b, uint64(h.Deadline))
}

// Decoder decodes frames into memory that it uses again.
type Decoder struct {
	items   []Item
	ops     []Op
	results []Result
	rows    causal.Arena
}

// Decode decodes header and items. It takes any bytes; what it allocates is bounded by a small multiple of their
// number. The items alias frame. The slice is valid until the next Decode, what the items point to until Reset. The
// error wraps ErrMalformed.
func (d *Decoder) Decode(frame []byte) (Header, []Item, error) {
	clear(d.items)
	r := reader{b: frame, memory: d}
	h := Header{Version: r.byte(), Capabilities: r.uint32(), Epoch: r.uint64(), HLC: r.uint64(), Deadline: int64(r.uint64())}
	if r.err == nil && h.Version != ProtocolVersion {
		r.fail("protocol version %d, this program speaks %d", h.Version, ProtocolVersion)
	}
	items := d.items[:0]
	for r.err == nil && len(r.b) > 0 {
		if len(items) == MaxItems {
			r.fail("more than %d items", MaxItems)
			break
		}
		items = append(items, Item{})
		r.item(&items[len(items)-1])
		items[len(items)-1].Deadline = h.Deadline
	}
	d.items = items
	if r.err != nil {
		return h, nil, r.err
	}
	return h, items, nil
}

// Reset makes the memory available again. What the items decoded so far point to must not be in use any more.
func (d *Decoder) Reset() {
	if cap(d.items) > keepItems || cap(d.ops) > keepItems || cap(d.results) > keepItems {
		*d = Decoder{}
		return
	}
	clear(d.items)
	clear(d.ops)
	clear(d.results)
	d.items, d.ops, d.results = d.items[:0], d.ops[:0], d.results[:0]
	d.rows.Reset()
}

// keepItems bounds what a Decoder holds while it rests.
const keepItems = 4096

// DecodeFrame is Decoder.Decode with memory of its own.
func DecodeFrame(frame []byte) (Header, []Item, error) { return new(Decoder).Decode(frame) }
