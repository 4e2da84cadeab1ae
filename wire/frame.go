package wire

import (
	"encoding/binary"
	"errors"
	"fmt"

	"shoal/causal"
	"shoal/ring"
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

// AppendFrames encodes the items as as few frames as their deadlines and maxBytes allow, in order, and hands each to
// emit, which must not keep it. The scratch buffer is returned for the next call. An item larger than maxBytes gets
// a frame of its own.
func AppendFrames(scratch []byte, h Header, items []Item, maxBytes int, emit func(frame []byte)) []byte {
	b := scratch[:0]
	for i := range items {
		it := &items[i]
		if len(b) > headerSize {
			full := len(b) >= maxBytes
			other := it.Kind == ItemOp && h.Deadline != 0 && it.Deadline != h.Deadline
			if full || other {
				binary.BigEndian.PutUint64(b[headerSize-8:], uint64(h.Deadline))
				emit(b)
				b, h.Deadline = b[:0], 0
			}
		}
		if len(b) == 0 {
			h.Deadline = 0
			b = h.append(b)
		}
		if it.Kind == ItemOp {
			h.Deadline = it.Deadline
		}
		b = it.append(b)
	}
	if len(b) > headerSize {
		binary.BigEndian.PutUint64(b[headerSize-8:], uint64(h.Deadline))
		emit(b)
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

// DecodeFrame decodes header and items. The items alias frame; into is reused.
func DecodeFrame(frame []byte, into []Item) (Header, []Item, error) {
	r := reader{b: frame}
	h := Header{Version: r.byte(), Capabilities: r.uint32(), Epoch: r.uint64(), HLC: r.uint64(), Deadline: int64(r.uint64())}
	if r.err == nil && h.Version != ProtocolVersion {
		r.fail("protocol version %d, this program speaks %d", h.Version, ProtocolVersion)
	}
	items := into[:0]
	for r.err == nil && len(r.b) > 0 {
		items = append(items, Item{})
		r.item(&items[len(items)-1])
		items[len(items)-1].Deadline = h.Deadline
	}
	if r.err != nil {
		return h, items[:0], r.err
	}
	return h, items, nil
}

// The byte form of an item: kind, flags, id, then the fields of its kind in the order of its comment above.
func (it *Item) append(b []byte) []byte {
	b = append(b, byte(it.Kind), byte(it.Flags))
	b = binary.AppendUvarint(b, it.ID)
	switch it.Kind {
	case ItemOp:
		b = it.Op.append(b)
	case ItemResult:
		b = it.Result.append(b)
	case ItemWrite:
		b = it.appendKey(b)
		b = binary.BigEndian.AppendUint64(b, uint64(it.Life))
		b = appendSized(b, it.Row.Append)
	case ItemFlush:
		b = binary.BigEndian.AppendUint16(b, uint16(it.Partition))
		b = binary.BigEndian.AppendUint64(b, uint64(it.Life))
		b = appendDot(b, it.Dot)
		b = appendSized(b, it.Clock.Append)
	case ItemRead:
		b = it.appendKey(b)
		b = binary.BigEndian.AppendUint64(b, it.Digest)
	case ItemRow:
		if !it.Has(FlagSame | FlagRefused) {
			b = appendSized(b, it.Row.Append)
		}
	case ItemClockRead:
		b = binary.BigEndian.AppendUint16(b, uint16(it.Partition))
	case ItemClock:
		if !it.Has(FlagRefused) {
			b = appendSized(b, it.Clock.Append)
		}
	case ItemPull:
		b = binary.BigEndian.AppendUint16(b, uint16(it.Partition))
		b = binary.BigEndian.AppendUint64(b, uint64(it.Life))
		b = appendSized(b, it.Clock.Append)
	case ItemPulled:
		b = it.appendPulled(b)
	case ItemMap, ItemAgree, ItemSurvey, ItemSurveyed:
		b = appendBytes(b, it.Blob)
	}
	return b
}

func (it *Item) appendKey(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(it.Partition))
	b = binary.BigEndian.AppendUint16(b, uint16(it.Slot))
	return appendBytes(b, it.Key)
}

func (it *Item) appendPulled(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(it.Partition))
	b = binary.BigEndian.AppendUint64(b, uint64(it.Life))
	b = binary.AppendUvarint(b, uint64(len(it.Entries)))
	for i := range it.Entries {
		e := &it.Entries[i]
		b = appendDot(b, e.Dot)
		if e.Dropped != nil {
			b = append(b, 1)
			b = appendSized(b, e.Dropped.Append)
			continue
		}
		b = append(b, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(e.Slot))
		b = appendBytes(b, e.Key)
	}
	b = binary.AppendUvarint(b, uint64(len(it.Rows)))
	for i := range it.Rows {
		b = binary.BigEndian.AppendUint16(b, uint16(it.Rows[i].Slot))
		b = appendBytes(b, it.Rows[i].Key)
		b = appendSized(b, it.Rows[i].Row.Append)
	}
	if it.Has(FlagComplete) {
		b = appendSized(b, it.Clock.Append)
		b = it.Horizon.Append(b)
	}
	return b
}

func appendDot(b []byte, d causal.Dot) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(d.Actor))
	return binary.AppendUvarint(b, d.Seq)
}

func appendBytes(b, x []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(x)))
	return append(b, x...)
}

// appendSized appends what encode appends, behind its length in 4 bytes.
func appendSized(b []byte, encode func([]byte) []byte) []byte {
	at := len(b)
	b = encode(append(b, 0, 0, 0, 0))
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}

func (r *reader) item(it *Item) {
	it.Kind, it.Flags = Kind(r.byte()), Flags(r.byte())
	it.ID = r.uvarint()
	switch it.Kind {
	case ItemOp:
		r.op(&it.Op)
	case ItemResult:
		r.result(&it.Result)
	case ItemWrite:
		r.key(it)
		it.Life = causal.Actor(r.uint64())
		it.Row = r.container()
	case ItemFlush:
		it.Partition, it.Life = r.partition(), causal.Actor(r.uint64())
		it.Dot = r.dot()
		it.Clock = r.clock()
	case ItemAck:
	case ItemRead:
		r.key(it)
		it.Digest = r.uint64()
	case ItemRow:
		if !it.Has(FlagSame | FlagRefused) {
			it.Row = r.container()
		}
	case ItemClockRead:
		it.Partition = r.partition()
	case ItemClock:
		if !it.Has(FlagRefused) {
			it.Clock = r.clock()
		}
	case ItemPull:
		it.Partition, it.Life = r.partition(), causal.Actor(r.uint64())
		it.Clock = r.clock()
	case ItemPulled:
		r.pulled(it)
	case ItemMap, ItemAgree, ItemSurvey, ItemSurveyed:
		it.Blob = r.bytes()
	default:
		r.fail("unknown item %d", it.Kind)
	}
}

func (r *reader) key(it *Item) {
	it.Partition, it.Slot = r.partition(), r.slot()
	it.Key = r.bytes()
}

func (r *reader) pulled(it *Item) {
	it.Partition, it.Life = r.partition(), causal.Actor(r.uint64())
	for range r.count(13) {
		e := LogEntry{Dot: r.dot()}
		if r.byte() == 1 {
			e.Dropped = r.clock()
		} else {
			e.Slot = r.slot()
			e.Key = r.bytes()
		}
		it.Entries = append(it.Entries, e)
	}
	for range r.count(10) {
		it.Rows = append(it.Rows, KeyRow{Slot: r.slot(), Key: r.bytes(), Row: r.container()})
	}
	if it.Has(FlagComplete) {
		it.Clock = r.clock()
		if r.err == nil {
			v, rest, err := causal.DecodeVector(r.b)
			if it.Horizon, r.b = v, rest; err != nil {
				r.fail("%v", err)
			}
		}
	}
}

// reader reads from the front of b. After the first error everything reads as zero.
type reader struct {
	b   []byte
	err error
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
	c, err := causal.DecodeContainer(r.sized())
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
