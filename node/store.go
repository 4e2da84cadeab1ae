package node

import (
	"log/slog"
	"time"

	"shoal/antientropy"
	"shoal/causal"
	"shoal/engine"
	"shoal/ring"
	"shoal/wire"
)

// store shows the engine to the machines: coord.Store and antientropy.Store.
type store struct {
	*engine.Store
	log         *slog.Logger
	seldom      *seldom // lines about what every pull meets again
	renewed     func(ring.Partition)
	partitionOf func(ring.Slot) ring.Partition
}

// seldom says when a line that would come again and again is due.
type seldom struct{ last time.Time }

func (x *seldom) due() bool {
	if time.Since(x.last) < time.Minute {
		return false
	}
	x.last = time.Now()
	return true
}

func (s store) CountSlot(slot ring.Slot, now int64) int64 {
	keys, err := s.Store.CountSlot(s.partitionOf(slot), slot, now)
	if err != nil {
		s.log.Error("rows of a slot cannot be read: they are not counted", "slot", slot, "err", err)
	}
	return keys
}

func (s store) Log(p ring.Partition, lacks *causal.Clock, fn func(wire.LogEntry) bool) error {
	err := s.Store.Log(p, lacks, 0, func(e engine.LogEntry) bool { return fn(wire.LogEntry(e)) })
	if err != nil && s.seldom.due() {
		s.log.Error("the log of a partition cannot be read", "partition", p, "err", err)
	}
	return err
}

// Walk shows the engine's walk to the comparison of replicas.
func (s store) Walk(p ring.Partition, deep bool) antientropy.Walk { return walk{s.Store.Walk(p, deep)} }

type walk struct{ *engine.Walk }

func (w walk) Next(limit int, fn func(ring.Slot, []byte, causal.Container, error)) bool {
	return w.Walk.Next(limit, func(r engine.Row) { fn(r.Slot, r.Key, r.Container, r.Err) })
}

// Range shows rows in order to a refill.
func (s store) Range(p ring.Partition, first bool, after wire.Ref, limit, maxBytes int, fn func(ring.Slot, []byte, causal.Container, error)) (bool, error) {
	return s.Store.Range(p, first, after, limit, maxBytes, fn)
}

func (s store) Renew(p ring.Partition) error {
	s.log.Error("a row was damaged or lost: the partition's replica begins a new life", "partition", p)
	if err := s.Store.Renew(p); err != nil {
		return err
	}
	s.renewed(p)
	return nil
}
