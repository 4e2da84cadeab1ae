package tcp

import "sync"

// outbox holds what waits for one connection: small frames already in wire form, one after another, and large ones
// whole. Its lock is held only while bytes are copied.
type outbox struct {
	limit int
	wake  chan struct{} // holds a token when something may be waiting

	mu     sync.Mutex
	small  []byte
	large  [][]byte
	queued int // bytes waiting and bytes taken but not yet written
}

func newOutbox(limit int) *outbox {
	return &outbox{limit: limit, wake: make(chan struct{}, 1)}
}

// push queues a copy of the frame; full says that it was not queued because of the limit.
func (o *outbox) push(frame []byte) (ok, full bool) {
	var whole []byte
	if len(frame) > FragmentSize {
		whole = append(whole, frame...)
	}
	o.mu.Lock()
	if o.queued+len(frame)+headerSize > o.limit {
		o.mu.Unlock()
		return false, true
	}
	idle := len(o.small) == 0 && len(o.large) == 0
	if whole != nil {
		o.large = append(o.large, whole)
	} else {
		o.small = appendUnit(o.small, typeData, 0, false, frame)
	}
	o.queued += len(frame) + headerSize
	o.mu.Unlock()
	if idle {
		select {
		case o.wake <- struct{}{}:
		default:
		}
	}
	return true, false
}

// take returns the small frames that wait, leaving buf for the next ones, and, if room, the next large one. written is
// how many queued bytes are off the caller's hands since the last call.
func (o *outbox) take(buf []byte, room bool, written int) (small, large []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queued -= written
	small = o.small
	o.small = buf[:0]
	if room && len(o.large) > 0 {
		large = o.large[0]
		o.large[0] = nil
		o.large = o.large[1:]
	}
	return small, large
}
