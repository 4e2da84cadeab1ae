package tcp

import (
	"fmt"
	"net"
	"time"
)

// writeChunk bounds one call of Write, so that its deadline means the same however much waits.
const writeChunk = 1 << 20

// writer empties an outbox into a connection: everything small that waits and one fragment of a large frame per turn,
// in one write.
type writer struct {
	conn    net.Conn
	box     *outbox
	stall   time.Duration // longest time one write may take
	armed   time.Time     // when the deadline was last moved
	batch   []byte        // being written
	spare   []byte        // for the outbox to fill meanwhile
	written int           // queued bytes written since the outbox was told
	large   []outgoing    // under way, the next to send a fragment first
	lastID  uint16
}

// outgoing is a large frame under way.
type outgoing struct {
	id   uint16
	rest []byte
}

// run writes until done is closed or a write fails, and pings when nothing was written for pingEvery.
func (w *writer) run(done <-chan struct{}, pingEvery time.Duration) error {
	timer := time.NewTimer(pingEvery)
	defer timer.Stop()
	for {
		w.fill()
		if len(w.batch) > 0 {
			if err := w.flush(); err != nil {
				return err
			}
			continue
		}
		select {
		case <-w.box.wake:
		case <-timer.C:
			timer.Reset(w.box.ping(pingEvery))
		case <-done:
			return nil
		}
	}
}

// fill takes what is to be written next into batch.
func (w *writer) fill() {
	small, large := w.box.take(w.spare, len(w.large), w.written)
	w.spare, w.batch = w.batch, small
	w.written = len(small)
	if large != nil {
		w.large = append(w.large, outgoing{id: w.nextID(), rest: large})
	}
	if len(w.large) > 0 {
		w.fragment()
	}
}

// fragment appends the next fragment of the large frame whose turn it is.
func (w *writer) fragment() {
	o := w.large[0]
	n := min(len(o.rest), FragmentSize)
	more := n < len(o.rest)
	w.batch = appendUnit(w.batch, typeData, o.id, more, o.rest[:n])
	w.written += n
	o.rest = o.rest[n:]
	copy(w.large, w.large[1:])
	w.large = w.large[:len(w.large)-1]
	if more {
		w.large = append(w.large, o)
	} else {
		w.written += HeaderSize
	}
}

// nextID names a large frame; never 0, and never one under way.
func (w *writer) nextID() uint16 {
	w.lastID++
	if w.lastID == 0 {
		w.lastID = 1
	}
	return w.lastID
}

// flush writes the batch and empties it.
func (w *writer) flush() error {
	for rest := w.batch; len(rest) > 0; {
		if err := w.arm(); err != nil {
			return err
		}
		n, err := w.conn.Write(rest[:min(len(rest), writeChunk)])
		if err != nil {
			return fmt.Errorf("write: %w", err)
		}
		rest = rest[n:]
	}
	w.batch = w.batch[:0]
	if cap(w.batch) > keepBuffer {
		w.batch = nil
	}
	return nil
}

// arm moves the write deadline on when a good part of it has gone.
func (w *writer) arm() error {
	if time.Since(w.armed) < w.stall/8 {
		return nil
	}
	w.armed = time.Now()
	return w.conn.SetWriteDeadline(w.armed.Add(w.stall))
}
