package node

import "shoal/wire"

// memory holds what peers said until the tick that took it in has ended: their frames' bytes, and the items decoded
// from them. Then it is used again, unless something was handed out that lasts longer.
type memory struct {
	decoder wire.Decoder
	chunk   []byte // bytes of frames, one after another
	lasting bool   // a result handed to a client points into it
}

// memoryChunk is enough for the frames of most ticks, bytes; a larger frame gets memory of its own.
const memoryChunk = 256 << 10

// take copies a frame and decodes it. Bytes and items are valid until release.
func (m *memory) take(frame []byte) (wire.Header, []wire.Item, error) {
	if cap(m.chunk)-len(m.chunk) < len(frame) {
		m.chunk = make([]byte, 0, max(memoryChunk, len(frame))) // what is in the old one stays there
	}
	at := len(m.chunk)
	m.chunk = append(m.chunk, frame...)
	h, items, err := m.decoder.Decode(m.chunk[at:])
	for i := range items {
		r := items[i].Result
		m.lasting = m.lasting || r != nil && (r.Value != nil || r.Context != nil || r.Siblings != nil)
	}
	return h, items, err
}

// release ends the tick. retained says that somebody still holds items or bytes of them.
func (m *memory) release(retained bool) {
	if retained || m.lasting || cap(m.chunk) > memoryChunk {
		*m = memory{}
		return
	}
	if poison {
		for i := range m.chunk {
			m.chunk[i] = 0xdb
		}
	}
	m.chunk = m.chunk[:0]
	m.decoder.Reset()
}
