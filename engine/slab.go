package engine

import "encoding/binary"

// Rows in memory lie in slabs, as records: header, name, sealed value. A record is written once and never changed but
// for its header's flags, and a slab is only appended to; when enough of a slab is garbage its rows are copied on and
// the slab is left to the collector. So what a read hands out may alias a slab for as long as anybody likes, and the
// collector sees a few pointers per megabyte rather than several per row.
//
// header: name length (4 bytes), value length (4), segment of the log that holds the row's last write (4), flags (1),
// unused (3), little endian. A value of no bytes says that there is no row: it stands for a row deleted since the
// last spill.
const (
	recordHeader = 16
	slabBytes    = 256 << 10
	largeRecord  = slabBytes / 4 // a larger record has a slab of its own
)

// Flags of a record.
const (
	flagUsed    = 1 << iota // read or written since the clock hand passed
	flagPlain               // one value that does not expire: counted without decoding
	flagGarbage             // no table points to it
)

type record []byte

func (r record) name() []byte {
	n := binary.LittleEndian.Uint32(r)
	return r[recordHeader : recordHeader+n : recordHeader+n]
}

// value is the sealed value, nil when there is no row.
func (r record) value() []byte {
	if binary.LittleEndian.Uint32(r[4:]) == 0 {
		return nil
	}
	v := r[recordHeader+binary.LittleEndian.Uint32(r):]
	return v[:len(v):len(v)]
}

// container is the encoded container, without its seal.
func (r record) container() []byte { return r.value()[sealSize:] }

func (r record) segment() uint32 { return binary.LittleEndian.Uint32(r[8:]) }

func (r record) has(flag byte) bool { return r[12]&flag != 0 }

func (r record) use() {
	if r[12]&flagUsed == 0 { // do not dirty the cache line for nothing
		r[12] |= flagUsed
	}
}

type slab struct {
	buf  []byte // length: what is filled
	live int    // bytes of records that a table points to
}

// slabs are all slabs. Number 0 is never used: it marks an empty cell of a table.
type slabs struct {
	all  []slab
	free []uint32
	head uint32 // the one being filled, 0: none

	held int64 // bytes allocated
	live int64 // bytes of live records

	hand     uint32 // of the clock: where reclaiming over budget goes on
	emptying uint32 // the slab being emptied, 0: none
	emptied  int    // bytes of it
}

// at returns the record at an offset.
func (m *slabs) at(id, off uint32) record {
	b := m.all[id].buf[off:]
	n := recordHeader + binary.LittleEndian.Uint32(b) + binary.LittleEndian.Uint32(b[4:])
	return record(b[:n:n])
}

// add appends a record.
func (m *slabs) add(name, value []byte, segment uint32, flags byte) (id, off uint32) {
	size := recordHeader + len(name) + len(value)
	id, at := m.room(size)
	s := &m.all[id]
	s.buf = s.buf[:at+size]
	b := s.buf[at:]
	binary.LittleEndian.PutUint64(b, uint64(len(name))|uint64(len(value))<<32)
	binary.LittleEndian.PutUint64(b[8:], uint64(segment)|uint64(flags)<<32)
	copy(b[recordHeader:], name)
	copy(b[recordHeader+len(name):], value)
	s.live += size
	m.live += int64(size)
	return id, uint32(at)
}

func (m *slabs) room(size int) (id uint32, at int) {
	if size > largeRecord {
		return m.make(size), 0
	}
	if m.head == 0 || cap(m.all[m.head].buf)-len(m.all[m.head].buf) < size {
		m.head = m.make(slabBytes)
	}
	return m.head, len(m.all[m.head].buf)
}

func (m *slabs) make(size int) uint32 {
	m.held += int64(size)
	s := slab{buf: make([]byte, 0, size)}
	if n := len(m.free); n > 0 {
		id := m.free[n-1]
		m.free = m.free[:n-1]
		m.all[id] = s
		return id
	}
	if len(m.all) == 0 {
		m.all = append(m.all, slab{})
	}
	m.all = append(m.all, s)
	return uint32(len(m.all) - 1)
}

// release turns a record into garbage.
func (m *slabs) release(id, off uint32) {
	rec := m.at(id, off)
	rec[12] |= flagGarbage
	m.unlive(id, len(rec))
	if m.all[id].live == 0 && id != m.head && id != m.emptying {
		m.drop(id)
	}
}

// unlive counts a record's bytes as garbage.
func (m *slabs) unlive(id uint32, size int) {
	m.all[id].live -= size
	m.live -= int64(size)
}

// drop gives a slab up. Nothing points into it but what was handed out.
func (m *slabs) drop(id uint32) {
	m.held -= int64(cap(m.all[id].buf))
	m.all[id] = slab{}
	m.free = append(m.free, id)
}
