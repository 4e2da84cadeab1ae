package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"shoal/causal"
	"shoal/ring"

	"github.com/cockroachdb/pebble/v2"
)

// The payload of a dot's row in Pebble: what the dot did.
const (
	logRow   = 0x00 // slot (2 bytes), key
	logFlush = 0x01 // encoded clock of what the flush dropped
)

// appendDotRow appends the sealed row of a dot whose segment is about to be recycled.
func appendDotRow(b, name []byte, e *entry) []byte {
	at := len(b)
	b = append(b, make([]byte, sealSize)...)
	if e.kind == entryFlush {
		b = append(append(b, logFlush), e.block...)
	} else if _, slot, key, ok := parseRow(e.name); ok {
		b = binary.BigEndian.AppendUint16(append(b, logRow), uint16(slot))
		b = append(b, key...)
	}
	seal(name, b[at:])
	return b
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
		return flushEntry(d, b[1:])
	}
	return LogEntry{}, fmt.Errorf("engine: %w: log entry of unknown form", ErrUnreadable)
}

func flushEntry(d causal.Dot, block []byte) (LogEntry, error) {
	c, err := causal.DecodeClock(block)
	if err != nil {
		return LogEntry{}, fmt.Errorf("engine: %w: %w", ErrUnreadable, err)
	}
	return LogEntry{Dot: d, Dropped: &c}, nil
}

// Log calls fn with the entries of the partition whose dots lacks does not contain (nil lacks all), by actor, then
// seq, with those of the current tick and without those at or below the horizon, until fn answers false or limit entries were passed (0: no limit). It seeks
// past the bases of lacks, so it costs what is missing. Entries are the caller's to keep; fn must not write. An entry
// that cannot be read ends it with an error that wraps ErrUnreadable: what follows is not known to be complete.
func (s *Store) Log(p ring.Partition, lacks *causal.Clock, limit int, fn func(LogEntry) bool) error {
	if err := s.push(); err != nil {
		return err
	}
	r := s.replicas.of(p)
	if r == nil {
		return nil
	}
	s.indexDots()
	if lacks == nil {
		lacks = &causal.Clock{}
	}
	old := oldDots{p: p, lacks: lacks, horizon: r.Horizon}
	prefix := appendSpace(nil, spaceLog, p)
	var err error
	if old.it, err = s.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)}); err != nil {
		return unreadable(err)
	}
	err = s.mergeLog(r, &old, limit, fn)
	if err == nil && old.it.Error() != nil {
		err = unreadable(old.it.Error())
	}
	if cerr := old.it.Close(); err == nil && cerr != nil {
		err = unreadable(cerr)
	}
	if err != nil {
		return fmt.Errorf("log of partition %d: %w", p, err)
	}
	return nil
}

// mergeLog joins the dots of recycled segments, in Pebble, with those of live ones. A dot may be in both.
func (s *Store) mergeLog(r *replica, old *oldDots, limit int, fn func(LogEntry) bool) error {
	live := dotCursor{x: r.dots, lacks: old.lacks, horizon: r.Horizon, through: s.spilled}
	od, oldOK, err := old.first()
	ld, at, liveOK := live.next()
	for passed := 0; err == nil && (oldOK || liveOK); {
		var e LogEntry
		takeLive := liveOK && (!oldOK || ld.Compare(od) <= 0)
		same := oldOK && liveOK && ld == od
		if takeLive {
			e, err = s.liveEntry(ld, at)
		} else {
			e, err = old.entry(od)
		}
		if err != nil {
			return err
		}
		passed++
		if !fn(e) || passed == limit {
			return nil
		}
		if takeLive {
			ld, at, liveOK = live.next()
		}
		if !takeLive || same {
			od, oldOK, err = old.next()
		}
	}
	return err
}

// liveEntry reads the entry of a dot from its segment.
func (s *Store) liveEntry(d causal.Dot, at dotAt) (LogEntry, error) {
	f, err := s.wal.reader(at.segment)
	if err == nil && f == nil {
		err = errors.New("its segment is gone")
	}
	if err != nil {
		return LogEntry{}, fmt.Errorf("engine: log entry: %w", err)
	}
	e := &s.scratch.entry
	for size := 256; ; size *= 16 {
		if cap(s.scratch.entryBytes) < size {
			s.scratch.entryBytes = make([]byte, size)
		}
		b := s.scratch.entryBytes[:size]
		n, rerr := f.ReadAt(b, int64(at.off))
		if rerr != nil && !errors.Is(rerr, io.EOF) {
			return LogEntry{}, fmt.Errorf("engine: read of the log: %w", rerr)
		}
		if _, err = e.decode(b[:n], false); err == nil || n < size {
			break
		}
	}
	if err != nil {
		s.stats.unreadable.Add(1)
		return LogEntry{}, fmt.Errorf("engine: %w: segment %d at %d: %w", ErrUnreadable, at.segment, at.off, err)
	}
	if e.kind == entryFlush {
		return flushEntry(d, e.block)
	}
	_, slot, key, ok := parseRow(e.name)
	if !ok {
		return LogEntry{}, fmt.Errorf("engine: %w: log entry under a malformed name", ErrUnreadable)
	}
	return LogEntry{Dot: d, Slot: slot, Key: key}, nil
}

// oldDots walks the dots of a partition that are in Pebble, past a clock.
type oldDots struct {
	p       ring.Partition
	lacks   *causal.Clock
	horizon causal.Vector
	it      *pebble.Iterator
}

func (o *oldDots) first() (causal.Dot, bool, error) { return o.settle(o.it.First()) }
func (o *oldDots) next() (causal.Dot, bool, error)  { return o.settle(o.it.Next()) }

func (o *oldDots) settle(ok bool) (causal.Dot, bool, error) {
	for ok {
		d, wellFormed := parseDot(o.it.Key())
		if !wellFormed {
			return d, false, fmt.Errorf("engine: %w: log entry under a malformed name", ErrUnreadable)
		}
		if base := max(o.lacks.Base(d.Actor), o.horizon.Of(d.Actor)); d.Seq <= base {
			ok = o.it.SeekGE(append(appendDot(nil, o.p, causal.Dot{Actor: d.Actor, Seq: base}), 0))
			continue
		}
		if !o.lacks.Contains(d) {
			return d, true, nil
		}
		ok = o.it.Next()
	}
	if err := o.it.Error(); err != nil {
		return causal.Dot{}, false, unreadable(err)
	}
	return causal.Dot{}, false, nil
}

func (o *oldDots) entry(d causal.Dot) (LogEntry, error) {
	value, err := o.it.ValueAndErr()
	if err != nil {
		return LogEntry{}, unreadable(err)
	}
	return decodeLog(d, o.it.Key(), value)
}
