package tcp

import "fmt"

// maxStreams is how many fragmented frames may be under way in one direction of a connection.
const maxStreams = 4

// keepBuffer is the largest buffer kept for later use; one that a rare large frame needed is given back.
const keepBuffer = 4 << 20

// assembly puts fragments together again. It holds at most maxStreams frames of at most max bytes, and grows by what
// arrived, never by what was announced.
type assembly struct {
	max   int
	open  []stream
	spare []byte
}

type stream struct {
	id   uint16
	data []byte
}

// add takes a fragment and returns the frame it completes, valid until the next call, or nil.
func (a *assembly) add(h header, payload []byte) ([]byte, error) {
	i := a.find(h.stream)
	if i < 0 {
		if len(a.open) == maxStreams {
			return nil, fmt.Errorf("%w: too many fragmented frames at once", ErrProtocol)
		}
		i = len(a.open)
		a.open = append(a.open, stream{id: h.stream, data: a.spare[:0]})
		a.spare = nil
	}
	s := &a.open[i]
	if len(payload) > a.max-len(s.data) {
		return nil, fmt.Errorf("%w: %w", ErrProtocol, ErrFrameSize)
	}
	s.data = append(s.data, payload...)
	if h.more {
		return nil, nil
	}
	frame := s.data
	a.open = append(a.open[:i], a.open[i+1:]...)
	if cap(frame) <= keepBuffer {
		a.spare = frame
	}
	return frame, nil
}

func (a *assembly) find(id uint16) int {
	for i := range a.open {
		if a.open[i].id == id {
			return i
		}
	}
	return -1
}
