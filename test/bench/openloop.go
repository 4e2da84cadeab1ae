//go:build linux

package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// openLoop sends at a fixed rate whatever the answers do: the n-th request is due n/rate after the start, and its latency
// counts from then even if it had to wait for a client to be free. A closed loop would stop asking exactly while the
// servers are slow (coordinated omission).
//
// Reads and writes have clients of their own, so that neither waits behind the other on the generator's side.
func (l *loop) openLoop(ctx context.Context) error {
	for _, c := range l.clients {
		l.free[pool(c.write)] = append(l.free[pool(c.write)], c)
	}
	total := int(l.t.rate * l.t.duration.Seconds())
	due := func(n int) int64 { return int64(float64(n) / l.t.rate * float64(time.Second)) }
	done := func(c *client, _ int64) error {
		p := pool(c.write)
		if at, some := l.overdue[p].pop(); some {
			return l.sendAt(c, at)
		}
		l.free[p] = append(l.free[p], c)
		return nil
	}
	// Sleeping must end when it should: by default the kernel may add 50 µs. Servers that this thread starts later would
	// inherit the change.
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("timer slack: %w", err)
	}
	defer func() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0) }() // 0 is the default
	asked, heard := 0, l.now()
	for l.tally.ops < total {
		now := l.now()
		for asked < total && due(asked) <= now {
			at := due(asked)
			p := pool(l.rng.IntN(100) < l.t.writes)
			asked++
			if len(l.free[p]) == 0 {
				l.tally.late++
				l.overdue[p].push(at)
				continue
			}
			c := l.free[p][len(l.free[p])-1]
			l.free[p] = l.free[p][:len(l.free[p])-1]
			if err := l.sendAt(c, at); err != nil {
				return err
			}
		}
		timeout := 100 * time.Millisecond
		if asked < total {
			timeout = min(timeout, time.Duration(due(asked)-l.now()))
		}
		n, err := l.serve(ctx, timeout, done)
		if err != nil {
			return err
		}
		if n > 0 {
			heard = l.now()
		} else if l.now()-heard > int64(stall) {
			return errStall
		}
	}
	l.tally.took = time.Since(l.begun)
	return nil
}

// sendAt sends one request that was due at a time.
func (l *loop) sendAt(c *client, at int64) error {
	v := get
	if c.write {
		v = set
	}
	_, err := l.send(c, at, func() verb { return v })
	return err
}

// pool is the index of free and overdue.
func pool(write bool) int {
	if write {
		return 1
	}
	return 0
}

// queue is first in, first out.
type queue struct {
	at   []int64
	head int
}

func (q *queue) push(at int64) { q.at = append(q.at, at) }

func (q *queue) pop() (at int64, some bool) {
	if q.head == len(q.at) {
		q.at, q.head = q.at[:0], 0
		return 0, false
	}
	q.head++
	return q.at[q.head-1], true
}
