package antientropy

import (
	"slices"

	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// Remains is where deleted rows lie; see Store for the rules.
type Remains interface {
	Clocks
	Row(p ring.Partition, s ring.Slot, key []byte) (causal.Container, error)
	// Reap replaces a row by what is left of it (the zero Container: the row goes), without logging a dot, and raises the
	// replica's horizon over `over` in the same step.
	Reap(p ring.Partition, s ring.Slot, key []byte, left causal.Container, over causal.Vector)
	// Trim raises the replica's horizon over `to` and forgets the log entries at or below it, in one step.
	Trim(p ring.Partition, to causal.Vector)
	// Logged is how many log entries the partition has.
	Logged(p ring.Partition) int
	// Dead calls fn with rows that hold a tombstone, a version that expired at or before `expired` (unix ms), or no
	// version. Up to limit rows are looked at; more reports whether others were not shown yet in this round. What could
	// not be reaped is shown again in a later one. fn must not write; the row is valid during the call.
	Dead(p ring.Partition, expired int64, limit int, fn func(slot ring.Slot, key []byte, row causal.Container)) (more bool)
}

// ReapConfig is in milliseconds and counts.
type ReapConfig struct {
	Self       ring.NodeID
	Every      int64 // look this often at a partition in which something waits; at others ever less: see quietMost
	Partitions int   // looked at in one Tick
	Rows       int   // looked at in one Tick
}

// ReapStats counts since the machine was made, but for Waiting.
type ReapStats struct {
	Reaped  uint64 // rows that went or lost tombstones
	Trimmed uint64 // log entries forgotten
	Blocked uint64 // times that a row could not be reaped yet
	Waiting int    // rows that could not, when each partition was last looked through
}

// Reaper forgets what every owner of a partition holds durably: tombstones, expired versions, rows without a version,
// and log entries. A row is reaped when its whole vector is stable (see Lives.Stable), not its dots alone: a dot that
// only the vector names may be of a version that some owner still has to take in, and the row is what will drop it.
//
// It is not safe for concurrent use.
type Reaper struct {
	cfg    ReapConfig
	store  Remains
	puller *Puller
	ring   *ring.Map
	rows   int    // looked at in one Tick
	turns  []turn // by partition
	next   int
	off    bool  // this node's clock cannot be trusted
	drift  int64 // see Drift
	found  []found
	Stats  ReapStats
}

// turn is how far a partition was looked through.
type turn struct {
	due      int64
	quiet    uint
	waiting  int           // rows that could not be reaped, in this round
	waited   int           // in the last one
	blocking causal.Vector // what those rows' vectors name above the bases of the own clock, in this round
	blocked  causal.Vector // in the last one
}

type found struct {
	slot ring.Slot
	key  []byte
	over causal.Vector
}

// NewReaper makes a reaper without a ring map. The puller tells it of the other owners' clocks, and is told when it waits
// for one.
func NewReaper(cfg ReapConfig, store Remains, puller *Puller) *Reaper {
	return &Reaper{cfg: cfg, store: store, puller: puller, rows: cfg.Rows}
}

// Pace makes each Tick do only share parts in of of its full work.
func (m *Reaper) Pace(share, of int) { m.rows = max(1, m.cfg.Rows*share/of) }

// ClockOff says that this node's clock is so far off that it must not decide what has expired.
func (m *Reaper) ClockOff(off bool) { m.off = off }

// Drift says by how many ms the machine's wall clock, which expiry goes by, is ahead of the time that steps are told.
func (m *Reaper) Drift(ms int64) { m.drift = ms }

// Install makes r the ring map. The puller has it already.
func (m *Reaper) Install(now int64, r *ring.Map) {
	m.ring, m.turns, m.next, m.Stats.Waiting = r, make([]turn, r.Q), 0, 0
	for i := range m.turns {
		m.turns[i].due = now
	}
}

// Blocking lists, per actor, the highest seq that a row which waits to be reaped names and the own clock does not reach.
func (m *Reaper) Blocking(p ring.Partition) causal.Vector {
	if int(p) >= len(m.turns) {
		return nil
	}
	return m.turns[p].blocked
}

// Tick looks at the partitions whose turn it is.
func (m *Reaper) Tick(now int64) {
	rows, left := m.rows, m.cfg.Partitions
	for range m.turns {
		if left == 0 || rows <= 0 {
			return
		}
		if m.next >= len(m.turns) {
			m.next = 0
		}
		p := ring.Partition(m.next)
		t := &m.turns[p]
		if t.quiet > 0 && now < t.due && m.store.Logged(p) > 0 { // it was written to
			t.quiet, t.due = 0, min(t.due, now+m.cfg.Every)
		}
		if now >= t.due && m.ring.Position(p, m.cfg.Self) >= 0 {
			left--
			var more bool
			if rows, more = m.look(now, p, t, rows); more {
				return
			}
		}
		m.next++
	}
}

// look trims the partition's log and goes on with the round over its dead rows.
func (m *Reaper) look(now int64, p ring.Partition, t *turn, rows int) (left int, more bool) {
	rep := m.store.Replica(p)
	if rep == nil {
		t.due = now + m.cfg.Every
		return rows, false
	}
	stable, known := m.puller.lives.Stable(p)
	if n := m.store.Logged(p); n > 0 && known && !rep.Horizon.CoversAll(stable) {
		m.store.Trim(p, stable)
		m.Stats.Trimmed += uint64(n - m.store.Logged(p))
	}
	left, more = m.reap(now, p, t, rep, stable, rows)
	if more {
		return left, true
	}
	m.Stats.Waiting += t.waiting - t.waited
	t.waited, t.waiting, t.blocked, t.blocking = t.waiting, 0, t.blocking, nil
	if t.quiet = min(t.quiet+1, quietMost); t.waited > 0 || m.store.Logged(p) > 0 {
		t.quiet = 0
		m.hurry(now, p)
	}
	t.due = now + m.cfg.Every<<t.quiet
	return left, false
}

// maxBlocking bounds the actors noted of a partition. Those that are not will be once these are closed.
const maxBlocking = 64

func (m *Reaper) reap(now int64, p ring.Partition, t *turn, rep *causal.Replica, stable causal.Vector, rows int) (left int, more bool) {
	expired := int64(0)
	if !m.off {
		expired = now + m.drift - skewMargin
	}
	m.found = m.found[:0]
	more = m.store.Dead(p, expired, rows, func(slot ring.Slot, key []byte, row causal.Container) {
		rows--
		if stable.CoversAll(row.Vector) {
			m.found = append(m.found, found{slot, slices.Clone(key), slices.Clone(row.Vector)})
			return
		}
		t.waiting++
		m.Stats.Blocked++
		for _, d := range row.Vector {
			if rep.Clock.Base(d.Actor) < d.Seq && (len(t.blocking) < maxBlocking || t.blocking.Of(d.Actor) > 0) {
				t.blocking = t.blocking.With(d)
			}
		}
	})
	for i := range m.found {
		f := &m.found[i]
		row, err := m.store.Row(p, f.slot, f.key)
		if err != nil {
			continue // a comparison will see to it
		}
		if kept := living(row, expired); len(kept.Versions) == 0 || len(kept.Versions) < len(row.Versions) {
			m.store.Reap(p, f.slot, f.key, kept, f.over)
			m.Stats.Reaped++
		}
	}
	clear(m.found)
	return rows, more
}

// living is the row without tombstones and what expired by then; the zero Container when nothing is left. What is left
// keeps the vector: it still says what those had seen.
func living(row causal.Container, expired int64) causal.Container {
	var out causal.Container
	for i := range row.Versions {
		if v := &row.Versions[i]; v.Kind != causal.KindTombstone && (v.Expiry == 0 || v.Expiry > expired) {
			out.Versions = append(out.Versions, *v)
		}
	}
	if len(out.Versions) > 0 {
		out.Vector = row.Vector
	}
	return out
}

// hurry asks those for their durable clocks which, as far as remembered, lack something that is durable here.
func (m *Reaper) hurry(now int64, p ring.Partition) {
	own := m.store.Durable(p)
	if own == nil {
		return
	}
	for _, peer := range m.ring.OwnersOf(p) {
		if c := m.puller.lives.Durable(p, peer); peer != m.cfg.Self && (c == nil || !c.Covers(own)) {
			m.puller.Hurry(now, p, peer)
		}
	}
}

// Up, Down, Step, Outs and Reset make it a part: it says nothing itself.
func (m *Reaper) Up(int64, ring.NodeID)                {}
func (m *Reaper) Down(int64, ring.NodeID)              {}
func (m *Reaper) Step(int64, ring.NodeID, []wire.Item) {}
func (m *Reaper) Outs() []Out                          { return nil }
func (m *Reaper) Reset()                               {}
