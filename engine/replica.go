package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"

	"shoal/causal"
	"shoal/ring"

	"github.com/cockroachdb/pebble/v2"
)

// replicas are indexed by partition, which are few and dense: every operation looks one up. nil: none here.
type replicas []*replica

func (x replicas) of(p ring.Partition) *replica {
	if int(p) < len(x) {
		return x[p]
	}
	return nil
}

func (x *replicas) set(p ring.Partition, r *replica) {
	if n := int(p) + 1 - len(*x); n > 0 {
		*x = append(*x, make(replicas, n)...)
	}
	(*x)[p] = r
}

// all walks those that are here, by partition.
func (x replicas) all() iter.Seq2[ring.Partition, *replica] {
	return func(yield func(ring.Partition, *replica) bool) {
		for p, r := range x {
			if r != nil && !yield(ring.Partition(p), r) {
				return
			}
		}
	}
}

func newReplica(r causal.Replica) *replica {
	return &replica{Replica: r, dead: deadRows{walkAt: forever}}
}

// Partitions returns those that have a replica here, in order.
func (s *Store) Partitions() []ring.Partition {
	var ps []ring.Partition
	for p := range s.replicas.all() {
		ps = append(ps, p)
	}
	return ps
}

// Replica returns the live causal state of a partition, nil when there is no replica of it here. The single caller may
// issue dots from it (Next); its clock is changed by Put, Mark, Flush and AdoptClock alone, so that it is stored.
func (s *Store) Replica(p ring.Partition) *causal.Replica {
	if r := s.replicas.of(p); r != nil {
		return &r.Replica
	}
	return nil
}

// Create makes empty replicas with a fresh actor. Durable before return; the tick so far is ended with it.
func (s *Store) Create(ps ...ring.Partition) error { return s.create(ps, false) }

// CreateFilling is Create for replicas that are to be filled: see Fill.
func (s *Store) CreateFilling(ps ...ring.Partition) error {
	if len(ps) > 0 {
		if err := s.distrust(); err != nil {
			return err
		}
	}
	return s.create(ps, true)
}

func (s *Store) create(ps []ring.Partition, filling bool) error {
	for i, p := range ps {
		if s.replicas.of(p) != nil || slices.Contains(ps[:i], p) {
			return fmt.Errorf("engine: partition %d has a replica here already", p)
		}
	}
	life := s.newActor(s.knownActor)
	for _, p := range ps {
		r := newReplica(causal.Replica{Life: life, Filling: filling})
		s.replicas.set(p, r)
		s.begun(p, r)
	}
	return s.endDurably()
}

// Renew begins a new life of a replica, as it must after an unreadable row: the clock covers dots whose effect may be
// lost, so no further dot may be issued by that life. Durable before return; the tick so far is ended with it.
func (s *Store) Renew(p ring.Partition) error {
	r := s.replicas.of(p)
	if r == nil {
		return fmt.Errorf("engine: partition %d has no replica here", p)
	}
	r.Life, r.Seq = s.newActor(s.knownActor), 0
	s.begun(p, r)
	return s.endDurably()
}

// AdoptClock takes over another replica's clock at the end of a pull, in the current tick. The caller answers for
// having stored everything that the clock covers.
func (s *Store) AdoptClock(p ring.Partition, c *causal.Clock) {
	r := s.replicas.of(p)
	r.Clock.Union(c)
	s.tick.b = appendBlocked(s.tick.b, entryAdopt, p, nil, c.Append(nil))
	s.noteLogged(r, 0)
}

// Fill marks a replica as being filled, or as no longer so. Either begins a new life, as Renew does. Durable before
// return; the tick so far is ended with it. It stays so over Open. From then on the store is as one that may have lost a
// tail: a replica that was filled is not whole before it has pulled, which a boot in between must not forget.
func (s *Store) Fill(p ring.Partition, on bool) error {
	if err := s.distrust(); err != nil {
		return err
	}
	if r := s.replicas.of(p); r != nil {
		r.Filling = on
	}
	return s.Renew(p)
}

// distrust makes TailMayBeLost true, durably.
func (s *Store) distrust() error {
	if s.run.tailLost {
		return nil
	}
	s.run.tailLost = true
	return writeRun(s.fs, s.opt.Dir, s.run)
}

// begun logs a replica that was created or renewed.
func (s *Store) begun(p ring.Partition, r *replica) {
	s.tick.b = appendBlocked(s.tick.b, entryReplica, p, nil, appendReplica(nil, &r.Replica, nil))
	s.noteLogged(r, 0)
}

func appendBlock(b, block []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(block))), block...)
}

func takeBlock(b []byte) (block, rest []byte, err error) {
	n, k := binary.Uvarint(b)
	if k <= 0 || n > uint64(len(b)-k) {
		return nil, nil, errors.New("block too short")
	}
	return b[k : k+int(n)], b[k+int(n):], nil
}

func decodeReplica(b []byte) (*replica, error) {
	if len(b) < 8 {
		return nil, errors.New("too short")
	}
	r := newReplica(causal.Replica{Life: causal.Actor(binary.BigEndian.Uint64(b))})
	for i, c := range []*causal.Clock{&r.Clock, &r.Flushed} {
		var block []byte
		var err error
		if i == 0 {
			b = b[8:]
		}
		if block, b, err = takeBlock(b); err != nil {
			return nil, err
		}
		if *c, err = causal.DecodeClock(block); err != nil {
			return nil, err
		}
	}
	var err error
	if r.Horizon, b, err = causal.DecodeVector(b); err != nil || len(b) == 0 {
		return r, err
	}
	flags := b[0]
	r.Filling, r.loggedKnown = flags&snapshotFilling != 0, flags&snapshotLogged != 0
	if b = b[1:]; r.loggedKnown {
		r.logged, err = decodeDotSet(b)
	} else if len(b) > 0 {
		err = errors.New("bytes too many")
	}
	return r, err
}

// loadReplicas reads the snapshots.
func (s *Store) loadReplicas() error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceReplica}, UpperBound: []byte{spaceReplica + 1}})
	if err != nil {
		return unreadable(err)
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		err = s.loadReplica(it)
	}
	if err == nil && it.Error() != nil {
		err = unreadable(it.Error())
	}
	if cerr := it.Close(); err == nil && cerr != nil {
		err = unreadable(cerr)
	}
	if err != nil {
		return fmt.Errorf("clocks: %w", err)
	}
	return nil
}

func (s *Store) loadReplica(it *pebble.Iterator) error {
	value, err := it.ValueAndErr()
	if err != nil {
		return unreadable(err)
	}
	name := it.Key()
	if len(name) != 3 {
		return fmt.Errorf("engine: %w: snapshot %x", ErrUnreadable, name)
	}
	payload, err := unseal(name, value)
	var r *replica
	if err == nil {
		r, err = decodeReplica(payload)
	}
	if err != nil {
		s.stats.unreadable.Add(1)
		s.log.Error("the clock of a replica is unreadable", "partition", partitionOf(name), "error", err)
		r = newReplica(causal.Replica{Filling: true})
		r.lost = true // unless the log has all of it
	}
	s.replicas.set(partitionOf(name), r)
	return nil
}

// unreadable marks errors of Pebble that mean damaged bytes.
func unreadable(err error) error {
	if corrupt(err) {
		return fmt.Errorf("engine: %w: %w", ErrUnreadable, err)
	}
	return fmt.Errorf("engine: %w", err)
}
