package engine

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// maxTick bounds what a tick gathers in memory, bytes. A larger one goes to Pebble in pieces, in order; the pieces
// share the log file with the end of the tick, so EndTick still answers for all of them.
const maxTick = 4 << 20

var errClosed = errors.New("engine: the store is closed")

// EndTick writes what came since the last one. When it returns nil the bytes are with the operating system, and on
// the disk when the durability is Always. After an error nothing of the tick may be acknowledged.
func (s *Store) EndTick() error {
	if err := s.writable(); err != nil {
		return err
	}
	if s.batch.Empty() && !s.pushed {
		return nil
	}
	var err error
	if s.batch.Empty() { // all pieces are with Pebble: only their bytes must still leave the process
		err = s.db.LogData(nil, pebble.Sync)
	} else {
		err = s.commit(pebble.Sync)
	}
	if err == nil {
		err = s.failure()
	}
	if err != nil {
		return fmt.Errorf("engine: end of tick: %w", err)
	}
	s.pushed = false
	s.stats.ticks.Add(1)
	return nil
}

// push hands the tick so far to Pebble, so that iterators see it.
func (s *Store) push() error {
	if err := s.writable(); err != nil {
		return err
	}
	if s.batch.Empty() {
		return nil
	}
	s.pushed = true
	return s.commit(pebble.NoSync)
}

func (s *Store) commit(how *pebble.WriteOptions) error {
	if err := s.batch.Commit(how); err != nil {
		s.fatal(err)
		return err
	}
	s.batch.Reset()
	for name, e := range s.pending {
		s.cache.put(name, e)
	}
	clear(s.pending)
	return nil
}

// pushLarge keeps the tick within maxTick. An error has been reported as fatal and makes EndTick fail.
func (s *Store) pushLarge() {
	if s.batch.Len() > maxTick {
		_ = s.push()
	}
}

func (s *Store) writable() error {
	if s.closed {
		return errClosed
	}
	return s.failure()
}

// Sync fsyncs what was deferred: every tick that ended before the call is on the disk when it returns nil. Safe for
// concurrent use, and it does not hold up ticks.
func (s *Store) Sync() error {
	if err := s.failure(); err != nil {
		return err
	}
	return s.fs.syncNow()
}

// endDurably ends the tick and fsyncs it whatever the durability.
func (s *Store) endDurably() error {
	if err := s.EndTick(); err != nil {
		return err
	}
	return s.Sync()
}
