package loop

import (
	"fmt"
	"iter"
	"net"
	"os"
	"runtime/debug"
)

// waiting says what a task waits for.
type waiting uint8

const (
	running waiting = iota
	forRead
	forWrite
	forTurn
	forWord // Resume
)

// Go runs f as the connection's task, which must have none yet. The connection must be closed when f has ended, or by f.
func (c *Conn) Go(f func()) {
	c.loop.post(func() {
		c.next, _ = iter.Pull(func(yield func(struct{}) bool) {
			c.yield = yield
			c.within = true
			f()
			c.within = false
		})
		c.loop.tasks++
		c.watched = c.loop.add(c) == nil
		if !c.watched {
			_ = c.Close() // the task finds out
		}
		c.goOn()
	})
}

// goOn lets the task run until it waits. The loop calls it.
func (c *Conn) goOn() {
	c.waits = running
	if _, more := c.next(); more {
		return
	}
	c.loop.tasks--
	if c.watched {
		c.loop.drop(c)
	}
}

// park leaves the task until goOn.
func (c *Conn) park(w waiting) {
	c.waits = w
	c.yield(struct{}{})
}

// Within reports whether the code that runs is the task's and must not wait for anything but through the Conn. It is for
// the task, and for what it calls outside.
func (c *Conn) Within() bool { return c != nil && c.within }

// Park leaves the task until Resume.
func (c *Conn) Park() { c.park(forWord) }

// Resume lets a parked task go on, at once. It is called in endRound only.
func (c *Conn) Resume() { c.goOn() }

// Yield lets the other tasks have their turn.
func (c *Conn) Yield() {
	c.loop.turns = append(c.loop.turns, c)
	c.park(forTurn)
}

// Outside has f run by another goroutine and leaves the task until it has ended. Within is false for f.
func (c *Conn) Outside(f func()) {
	if !c.Within() {
		f()
		return
	}
	failure := ""
	c.within = false
	go func() {
		defer c.loop.post(c.goOn)
		defer func() {
			if p := recover(); p != nil {
				failure = fmt.Sprintf("%v\n%s", p, debug.Stack())
			}
		}()
		f()
	}()
	c.park(forWord)
	c.within = true
	if failure != "" {
		panic(failure)
	}
}

// wait leaves the task until its socket can do what it waits for, its deadline has come, or the connection is closed.
func (c *Conn) wait(w waiting) error {
	if c.closed.Load() {
		return net.ErrClosed
	}
	if by := c.deadline(w).Load(); by != 0 {
		if by <= c.loop.now() {
			return os.ErrDeadlineExceeded
		}
		c.loop.times.remind(c, by)
	}
	c.late = false
	c.park(w)
	switch {
	case c.closed.Load():
		return net.ErrClosed
	case c.late:
		return os.ErrDeadlineExceeded
	}
	return nil
}

// check ends a wait whose deadline has come, or whose connection is closed. The loop calls it.
func (c *Conn) check() {
	if c.waits != forRead && c.waits != forWrite {
		return
	}
	by := c.deadline(c.waits).Load()
	switch {
	case c.closed.Load():
		c.goOn()
	case by == 0:
	case by <= c.loop.now():
		c.late = true
		c.goOn()
	default:
		c.loop.times.remind(c, by)
	}
}
