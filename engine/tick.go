package engine

import (
	"errors"
	"fmt"

	"shoal/causal"
	"shoal/ring"
)

// maxTick bounds what a tick gathers in memory, bytes. A larger one goes to the log in pieces, in order; EndTick still
// answers for all of them.
const maxTick = 4 << 20

var errClosed = errors.New("engine: the store is closed")

// tick is what came since the last EndTick, as the record that it becomes. Rows and clocks in memory have it already.
type tick struct {
	b       []byte // tickHeader bytes of room, then entries
	dots    []tickDot
	pushed  bool // a part is in the log
	durably bool // it must be on the disk before it ends, whatever the durability
	own     bool // it holds a dot issued here
	work    int  // rows and dots: what background work is paced by
}

type tickDot struct {
	p   ring.Partition
	dot causal.Dot
	off uint32 // of its entry in b
}

// Len is the bytes gathered.
func (t *tick) Len() int { return len(t.b) - tickHeader }

func (t *tick) reset() {
	if cap(t.b) > 2*maxTick || t.b == nil {
		t.b = make([]byte, tickHeader, 64<<10)
	}
	t.b, t.dots = t.b[:tickHeader], t.dots[:0]
}

// EndTick writes what came since the last one. When it returns nil the bytes are with the operating system, and on
// the disk when the durability is Always, or One and a dot of the tick was issued here. After an error nothing of the tick may be acknowledged. An error that wraps
// ErrFull keeps the tick: what was put stays readable here, and a later EndTick tries again to write it, together
// with what came since. After any other error the store is done.
func (s *Store) EndTick() error {
	if err := s.writable(); err != nil {
		return err
	}
	if s.tick.Len() == 0 && !s.tick.pushed {
		s.background(0)
		return nil
	}
	err := s.push()
	if err == nil && s.syncsNow() {
		err = s.wal.sync()
	}
	if err == nil {
		err = s.failure()
	}
	if err != nil {
		return fmt.Errorf("engine: end of tick: %w", err)
	}
	s.tick.pushed, s.tick.durably, s.tick.own = false, false, false
	s.stats.ticks.Add(1)
	s.turn()
	s.background(s.tick.work)
	s.tick.work = 0
	return nil
}

// push writes the tick so far to the log, as a piece.
func (s *Store) push() error {
	if err := s.writable(); err != nil {
		return err
	}
	if s.tick.Len() == 0 {
		return nil
	}
	if err := s.stuck(s.wal.size+s.wal.size/4, len(s.tick.b)); err != nil {
		return err
	}
	at, err := s.wal.append(s.tick.b)
	if err != nil {
		return err
	}
	num := s.wal.current().num
	for i := range s.tick.dots {
		d := &s.tick.dots[i]
		s.logDot(d.p, d.dot, num, uint32(at)+d.off)
	}
	s.tick.reset()
	s.tick.pushed = true
	return nil
}

// pushLarge keeps the tick within maxTick. An error shows again in EndTick.
func (s *Store) pushLarge() {
	if len(s.tick.b) > maxTick {
		_ = s.push()
	}
}

func (s *Store) writable() error {
	if s.closed {
		return errClosed
	}
	return s.failure()
}

// stuck answers why the log cannot grow by n bytes beyond a size of its segment, nil while it can.
func (s *Store) stuck(size int64, n int) error {
	if s.wal.current().at+int64(n) <= size {
		return nil
	}
	for _, trouble := range []error{s.spiller.trouble(), s.wal.spares.problem()} {
		if trouble != nil {
			return fmt.Errorf("engine: %w: %w", ErrFull, trouble)
		}
	}
	return nil
}

// Full answers an error that wraps ErrFull while there is no room for more writes: the disk is full, or background
// work cannot take anything out of the log. Callers ask before they begin a write, so that it can be refused with
// nothing done: behind this check room for a few large ticks is kept. Reads go on, and it ends by itself when there is
// space again.
func (s *Store) Full() error {
	if err := s.writable(); err != nil {
		return err
	}
	room := s.wal.size * 3 / 4
	if s.wal.current().scant {
		room = -1
	}
	return s.stuck(room, s.tick.Len())
}

// Sync fsyncs what was deferred: every tick that ended before the call is on the disk when it returns nil. Safe for
// concurrent use, and it does not hold up ticks.
func (s *Store) Sync() error {
	if err := s.failure(); err != nil {
		return err
	}
	return s.wal.sync()
}

// endDurably ends the tick and fsyncs it whatever the durability.
func (s *Store) endDurably() error {
	if err := s.EndTick(); err != nil {
		return err
	}
	return s.Sync()
}
