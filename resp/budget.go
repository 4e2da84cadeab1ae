package resp

import (
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"shoal/wire"
)

const (
	// holdFree is what a connection may hold without being counted, and the step of counting, bytes. The usual pipeline
	// stays below, so that it touches no counter that others touch.
	holdFree = 32 << 10

	// budgetWait is how long a command waits for memory that others hold. A request that has not arrived as a whole waits
	// for ReadTimeout.
	budgetWait = time.Second

	// holdOp is what an operation takes beside its arguments and its value, bytes.
	holdOp = int(unsafe.Sizeof(wire.Op{}) + unsafe.Sizeof(wire.Result{}) + unsafe.Sizeof(pending{}))
)

// budget bounds what all connections together hold of requests, operations under way and replies not taken yet
// (maxmemory-clients). What a connection cannot do without, for instance the results of operations that have run, is
// counted even beyond the bound; nothing new begins then until others have given back.
type budget struct {
	limit *atomic.Int64 // bytes, 0: none
	used  atomic.Int64  // bytes

	waiting atomic.Int32
	mu      struct {
		sync.Mutex
		freed chan struct{} // closed when some was given back
	}
}

// try takes n bytes if they are there.
func (b *budget) try(n int64) bool {
	for limit := b.limit.Load(); ; {
		used := b.used.Load()
		if limit != 0 && used+n > limit {
			return false
		}
		if b.used.CompareAndSwap(used, used+n) {
			return true
		}
	}
}

// over reports whether more than the bound is held.
func (b *budget) over() bool {
	limit := b.limit.Load()
	return limit != 0 && b.used.Load() > limit
}

// give returns n bytes, or takes -n of them in any case.
func (b *budget) give(n int64) {
	b.used.Add(-n)
	if n > 0 && b.waiting.Load() > 0 {
		b.mu.Lock()
		if b.mu.freed != nil {
			close(b.mu.freed)
			b.mu.freed = nil
		}
		b.mu.Unlock()
	}
}

// await takes n bytes as soon as they are there, within the given time and unless stop is closed.
func (b *budget) await(n int64, within time.Duration, stop <-chan struct{}) bool {
	b.waiting.Add(1)
	defer b.waiting.Add(-1)
	timer := time.NewTimer(within)
	defer timer.Stop()
	for {
		b.mu.Lock()
		if b.mu.freed == nil {
			b.mu.freed = make(chan struct{})
		}
		freed := b.mu.freed
		b.mu.Unlock()
		if b.try(n) {
			return true
		}
		if limit := b.limit.Load(); limit != 0 && n > limit {
			return false
		}
		select {
		case <-freed:
		case <-stop:
			return false
		case <-timer.C:
			return b.try(n)
		}
	}
}

// holding is what one connection holds, bytes. It belongs to the connection's goroutine.
type holding struct {
	query   int   // buffer and arguments of the requests
	vector  int   // operations, and values that were read or are expected
	writing int   // replies handed to the socket
	counted int64 // taken from the budget
}

// due is what should be taken from the budget, in steps.
func (h *holding) due() int64 {
	if n := h.query + h.vector + h.writing; n > holdFree {
		return int64((n + holdFree - 1) / holdFree * holdFree)
	}
	return 0
}

// settle makes the budget know what the connection holds.
func (c *Conn) settle() {
	if due := c.held.due(); due != c.held.counted {
		c.srv.budget.give(c.held.counted - due)
		c.held.counted = due
	}
}

// mayHold is settle for what is about to be held: it waits for the budget if it must, and reports false when there is
// not enough within that time. Nothing is taken then.
func (c *Conn) mayHold(within time.Duration) bool {
	more := c.held.due() - c.held.counted
	if more > 0 {
		b := &c.srv.budget
		if !b.try(more) {
			c.w.Flush()
			there := false
			c.guard.task.Outside(func() { there = b.await(more, within, c.srv.stop) })
			if !there {
				return false
			}
		}
		c.held.counted += more
		return true
	}
	c.settle()
	return true
}
