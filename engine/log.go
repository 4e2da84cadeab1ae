package engine

import (
	"encoding/binary"
	"fmt"

	"shoal/causal"
	"shoal/ring"

	"github.com/cockroachdb/pebble/v2"
)

// The payload of a log entry: what the dot did.
const (
	logRow   = 0x00 // slot (2 bytes), key
	logFlush = 0x01 // encoded clock of what the flush dropped
)

func (s *Store) logDot(p ring.Partition, d causal.Dot, slot ring.Slot, key []byte, dropped *causal.Clock) {
	var scratch [19]byte
	name := appendDot(scratch[:0], p, d)
	b := append(s.value[:0], make([]byte, sealSize)...)
	if dropped != nil {
		b = dropped.Append(append(b, logFlush))
	} else {
		b = binary.BigEndian.AppendUint16(append(b, logRow), uint16(slot))
		b = append(b, key...)
	}
	seal(name, b)
	_ = s.batch.Set(name, b, nil) // fails only on a batch that was committed
	s.value = b
}

func decodeLog(d causal.Dot, name, value []byte) (LogEntry, error) {
	b, err := unseal(name, value)
	if err != nil {
		return LogEntry{}, err
	}
	switch {
	case len(b) >= 3 && b[0] == logRow:
		return LogEntry{Dot: d, Slot: ring.Slot(binary.BigEndian.Uint16(b[1:])), Key: append([]byte{}, b[3:]...)}, nil
	case len(b) >= 1 && b[0] == logFlush:
		c, err := causal.DecodeClock(b[1:])
		if err != nil {
			return LogEntry{}, fmt.Errorf("engine: %w: %w", ErrUnreadable, err)
		}
		return LogEntry{Dot: d, Dropped: &c}, nil
	}
	return LogEntry{}, fmt.Errorf("engine: %w: log entry of unknown form", ErrUnreadable)
}

// Log calls fn with the entries of the partition whose dots lacks does not contain (nil lacks all), by actor, then
// seq, with those of the current tick, until fn answers false or limit entries were passed (0: no limit). It seeks
// past the bases of lacks, so it costs what is missing. Entries are the caller's to keep. An entry that cannot be read
// ends it with an error that wraps ErrUnreadable: what follows is not known to be complete.
func (s *Store) Log(p ring.Partition, lacks *causal.Clock, limit int, fn func(LogEntry) bool) error {
	if err := s.push(); err != nil {
		return err
	}
	if lacks == nil {
		lacks = &causal.Clock{}
	}
	prefix := appendSpace(nil, spaceLog, p)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return unreadable(err)
	}
	err = walkLog(it, p, lacks, limit, fn)
	if err == nil && it.Error() != nil {
		err = unreadable(it.Error())
	}
	if cerr := it.Close(); err == nil && cerr != nil {
		err = unreadable(cerr)
	}
	if err != nil {
		return fmt.Errorf("log of partition %d: %w", p, err)
	}
	return nil
}

func walkLog(it *pebble.Iterator, p ring.Partition, lacks *causal.Clock, limit int, fn func(LogEntry) bool) error {
	passed := 0
	for ok := it.First(); ok; {
		d, wellFormed := parseDot(it.Key())
		if !wellFormed {
			return fmt.Errorf("engine: %w: log entry under a malformed name", ErrUnreadable)
		}
		if base := lacks.Base(d.Actor); d.Seq <= base {
			ok = it.SeekGE(appendDot(nil, p, causal.Dot{Actor: d.Actor, Seq: base + 1}))
			continue
		}
		if !lacks.Contains(d) {
			value, err := it.ValueAndErr()
			if err != nil {
				return unreadable(err)
			}
			e, err := decodeLog(d, it.Key(), value)
			if err != nil {
				return err
			}
			passed++
			if !fn(e) || passed == limit {
				return nil
			}
		}
		ok = it.Next()
	}
	return nil
}
