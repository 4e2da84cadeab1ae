package main

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	chunkSize  = 32 << 10 // bytes taken from a connection at once
	chunksHeld = 64       // of one direction of a connection, before its sender has to wait
)

// lane is one direction between two nodes. A cut lane swallows packets and holds what streams carry, the end of the
// stream included, as a network does that loses everything: the sender is not told, and when the lane heals the kernel's
// retransmissions bring the old bytes after all, however late.
type lane struct {
	bytes atomic.Int64 // that passed, packets and streams

	mu    sync.Mutex
	cuts  int           // faults that cut it now
	delay time.Duration // added on the way
	open  chan struct{} // closed while nothing cuts it
}

func newLane() *lane {
	l := &lane{open: make(chan struct{})}
	close(l.open)
	return l
}

// cut makes it swallow. Cuts add up: it heals when each has been taken back.
func (l *lane) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cuts == 0 {
		l.open = make(chan struct{})
	}
	l.cuts++
}

// mend takes one cut back.
func (l *lane) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cuts--
	if l.cuts == 0 {
		close(l.open)
	}
}

// slow makes everything take longer on the way; 0 ends it.
func (l *lane) slow(delay time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay = delay
}

func (l *lane) state() (open chan struct{}, cut bool, delay time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open, l.cuts > 0, l.delay
}

// packet sends one packet by the lane, now or later or never.
func (l *lane) packet(size int, send func()) {
	_, cut, delay := l.state()
	if cut {
		return
	}
	l.bytes.Add(int64(size))
	if delay == 0 {
		send()
		return
	}
	time.AfterFunc(delay, func() {
		if _, cut, _ := l.state(); !cut {
			send()
		}
	})
}

// chunk is a piece of a stream and the moment from which it may arrive.
type chunk struct {
	bytes []byte
	due   time.Time
}

// stream carries one direction of a connection until it ends, the other end is gone, or ctx ends.
func (l *lane) stream(ctx context.Context, to, from net.Conn) {
	chunks := make(chan chunk, chunksHeld)
	go func() {
		defer close(chunks)
		for {
			b := make([]byte, chunkSize)
			n, err := from.Read(b)
			_, _, delay := l.state()
			if n > 0 {
				select {
				case chunks <- chunk{b[:n], time.Now().Add(delay)}:
				case <-ctx.Done():
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
	for c := range chunks {
		if !l.pass(ctx, c.due) {
			return
		}
		l.bytes.Add(int64(len(c.bytes)))
		if _, err := to.Write(c.bytes); err != nil {
			break // the other end is gone; the sender hears of it by the other direction, if at all
		}
	}
	if l.pass(ctx, time.Time{}) {
		_ = to.(*net.TCPConn).CloseWrite()
	}
	for range chunks { // what nobody takes any more
	}
}

// pass waits until the moment has come and the lane is open; false when ctx ended first.
func (l *lane) pass(ctx context.Context, due time.Time) bool {
	if wait := time.Until(due); wait > 0 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return false
		}
	}
	for {
		open, _, _ := l.state()
		select {
		case <-open:
		case <-ctx.Done():
			return false
		}
		if _, cut, _ := l.state(); !cut {
			return ctx.Err() == nil
		}
	}
}
