package tcp

import (
	"bytes"
	"fmt"
	"sync"
	"time"
)

// A write costs some microseconds however little it writes, as much as dozens of small frames in one write. So a frame
// below gatherBelow bytes that follows what was written less than gather ago is left to the writer: until that runs, the
// frames after it join. A request and its answer are further apart than this, the frames of a burst are not.
const (
	gather      = 10 * time.Microsecond
	gatherBelow = 16 << 10
)

// outbox is the sending end of one connection. A small frame that nothing precedes is written at once, as far as the
// connection takes it without waiting. The rest waits here for the writer: small frames in wire form, one after another,
// and large ones whole. Its lock is held while bytes are copied and for a write that does not wait, never longer.
type outbox struct {
	limit  int
	wake   chan struct{} // holds a token when something may be waiting
	born   time.Time
	gather time.Duration // see the constant

	mu     sync.Mutex
	direct func([]byte) (int, error) // writes what the connection takes at once; nil: everything goes to the writer
	busy   bool                      // the writer is writing: whatever is sent now must follow
	small  []byte                    // the first frame may have lost its beginning to direct
	large  [][]byte
	queued int           // bytes waiting and bytes taken but not yet written
	said   time.Duration // when bytes last went out, since born
}

// newOutbox makes an outbox of at most limit waiting bytes. direct: see outbox.
func newOutbox(limit int, direct func([]byte) (int, error)) *outbox {
	return &outbox{limit: limit, direct: direct, wake: make(chan struct{}, 1), born: time.Now(), gather: gather}
}

// push sends a unit: HeaderSize bytes of room and the frame. The unit is the caller's again afterwards. After an error,
// which is ErrQueueFull or that of the write, the connection must be closed.
func (o *outbox) push(unit []byte) error {
	var whole []byte
	if len(unit)-HeaderSize > FragmentSize {
		whole = bytes.Clone(unit[HeaderSize:])
	} else {
		seal(unit, typeData, 0, false)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.queued+len(unit) > o.limit {
		return ErrQueueFull
	}
	idle := len(o.small) == 0 && len(o.large) == 0
	if whole != nil {
		o.large = append(o.large, whole)
		o.queued += len(unit)
	} else {
		rest := unit
		if idle && !o.busy && o.direct != nil && (len(unit) >= gatherBelow || time.Since(o.born)-o.said >= o.gather) {
			n, err := o.direct(unit)
			if err != nil {
				return fmt.Errorf("write: %w", err)
			}
			if n > 0 {
				o.said = time.Since(o.born)
			}
			if rest = unit[n:]; len(rest) == 0 {
				return nil
			}
		}
		o.small = append(o.small, rest...)
		o.queued += len(rest)
	}
	if idle {
		select {
		case o.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// take returns the small frames that wait, leaving buf for the next ones, and, if fewer than maxStreams large ones are
// under way, the next large one. written is how many queued bytes are off the caller's hands since the last call. As
// long as the caller has something to write the connection is his, and push only queues.
func (o *outbox) take(buf []byte, underWay, written int) (small, large []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queued -= written
	if written > 0 {
		o.said = time.Since(o.born)
	}
	small = o.small
	o.small = buf[:0]
	if underWay < maxStreams && len(o.large) > 0 {
		large = o.large[0]
		o.large[0] = nil
		o.large = o.large[1:]
	}
	o.busy = len(small) > 0 || large != nil || underWay > 0
	return small, large
}

// ping queues a ping if nothing was written for every, or nearly: the last ping left a little after it was asked for, and
// need not make this one take two wakes. It returns when to ask again.
func (o *outbox) ping(every time.Duration) (next time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if left := o.said + every - time.Since(o.born); left > every/16 {
		return left
	}
	if len(o.small) == 0 && len(o.large) == 0 {
		o.small = appendUnit(o.small, typePing, 0, false, nil)
		o.queued += HeaderSize
	}
	return every
}
