package engine

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"shoal/causal"
	"shoal/ring"
)

// model is what the store must hold after each tick: per tick the dots by key, clock, log and the rest of the replica.
type model struct {
	states  []state // states[i]: after i ticks
	durable int     // the last that a filling made durable
	filled  bool    // there was one
	flushes bool    // rows may be left without versions, until they are swept
	flips   int     // bits flipped while the store was open: each makes one log entry unreadable at most
}

type state struct {
	newest  map[string]causal.Dot // the version that a key shows
	clock   causal.Clock
	logged  map[causal.Dot]bool
	flushed causal.Clock
	horizon causal.Vector
	filling bool
	hints   map[string]causal.Dot // of partition 5, which has no replica here
	seq     uint64                // of the last record of the log, for tests that need it
}

// next is a copy to be changed.
func (m *model) next() state {
	last := m.last()
	next := *last
	next.newest, next.logged = maps.Clone(last.newest), maps.Clone(last.logged)
	if next.newest == nil {
		next.newest = map[string]causal.Dot{}
	}
	if next.hints = maps.Clone(last.hints); next.hints == nil {
		next.hints = map[string]causal.Dot{}
	}
	if next.logged == nil {
		next.logged = map[causal.Dot]bool{}
	}
	next.clock, next.flushed = last.clock.Clone(), last.flushed.Clone()
	return next
}

// log adds a dot to the clock and the log.
func (st *state) log(d causal.Dot) {
	st.clock.Add(d)
	if !st.horizon.Covers(d) {
		st.logged[d] = true
	}
}

func (st *state) write(key string, d causal.Dot) {
	st.newest[key] = d
	st.log(d)
}

func (st *state) raise(to causal.Vector) {
	st.horizon = st.horizon.Join(to)
	maps.DeleteFunc(st.logged, func(d causal.Dot, _ bool) bool { return st.horizon.Covers(d) })
}

// is reports whether the replica is that of the state.
func (st *state) is(r *causal.Replica) bool {
	return st.clock.Equal(&r.Clock) && st.filling == r.Filling && slices.Equal(st.horizon, r.Horizon) && st.flushed.Equal(&r.Flushed)
}

func (m *model) last() *state { return &m.states[len(m.states)-1] }

// reopen goes back to the state that came back after a crash, at least as new as from.
func (m *model) reopen(t testing.TB, s *Store, from int) {
	t.Helper()
	m.goBack(m.stored(t, s, from))
}

func (m *model) goBack(to int) {
	m.states = m.states[:to+1]
	m.durable = min(m.durable, to) // a later one is lost with its tick, and another tick will have its number
}

// find is the newest state from one to another that the replica is in, -1 when it is in none.
func (m *model) find(r *causal.Replica, from, to int) int {
	for i := min(to, len(m.states)-1); i >= from; i-- {
		if m.states[i].is(r) {
			return i
		}
	}
	return -1
}

// stored reads rows, log and clock and checks that they agree with each other and with one state of the model, at
// least as new as from. It answers which.
func (m *model) stored(t testing.TB, s *Store, from int) int {
	t.Helper()
	r := s.Replica(0)
	i := m.find(r, from, len(m.states)-1)
	if i < 0 {
		t.Fatalf("clock %v is that of no state from tick %d to %d", r.Clock.Entries(), from, len(m.states)-1)
	}
	m.agrees(t, s, &m.states[i])
	return i
}

// agrees checks that everything the store says is what the state says.
func (m *model) agrees(t testing.TB, s *Store, want *state) {
	t.Helper()
	m.agreesOnLog(t, s, want)
	want.agreesOnHints(t, s)
	m.agreesOnRows(t, s, want)
	want.agreesWhenWalked(t, s)
	want.agreesInRanges(t, s)
}

func (m *model) agreesOnLog(t testing.TB, s *Store, want *state) {
	t.Helper()
	logged := m.readLog(t, s, want)
	if logged != len(want.logged) || s.Logged(0) != logged || s.Stats().LogEntries != int64(logged) {
		t.Fatalf("%d log entries, counted %d and %d, want %d", logged, s.Logged(0), s.Stats().LogEntries, len(want.logged))
	}
}

// readLog counts the entries, those that are said to be unreadable too: the log ends there, and is read on behind it.
func (m *model) readLog(t testing.TB, s *Store, want *state) int {
	t.Helper()
	logged := map[causal.Dot]bool{}
	var have causal.Clock
	for bad := 0; ; bad++ {
		var at causal.Dot
		err := s.Log(0, &have, 0, func(e LogEntry) bool {
			if at = e.Dot; logged[e.Dot] || !want.logged[e.Dot] {
				t.Fatalf("log entry %v, twice: %v", e.Dot, logged[e.Dot])
			}
			logged[e.Dot] = true
			return true
		})
		if err == nil {
			return len(logged)
		}
		next, found := want.loggedAfter(at, logged)
		if !found || bad == m.flips || !errors.Is(err, ErrUnreadable) {
			t.Fatalf("log behind %v, with %d unreadable entries after %d flipped bits: %v", at, bad, m.flips, err)
		}
		logged[next] = true
		for d := range logged {
			have.Add(d)
		}
	}
}

// loggedAfter is the first dot of the log behind another, without some.
func (st *state) loggedAfter(after causal.Dot, without map[causal.Dot]bool) (first causal.Dot, found bool) {
	for d := range st.logged {
		if d.Compare(after) > 0 && !without[d] && (!found || d.Compare(first) < 0) {
			first, found = d, true
		}
	}
	return first, found
}

func (st *state) agreesOnHints(t testing.TB, s *Store) {
	t.Helper()
	hints := readHints(t, s)
	if !maps.Equal(hints, st.hints) {
		t.Fatalf("hints %v, want %v", hints, st.hints)
	}
	if all, _ := s.HintStats(); s.HintCount(5) != len(hints) || all != len(hints) {
		t.Fatalf("%d hints, counted %d and %d", len(hints), s.HintCount(5), all)
	}
}

func readHints(t testing.TB, s *Store) map[string]causal.Dot {
	t.Helper()
	hints := map[string]causal.Dot{}
	s.Hints(5, true, Ref{}, 1000, func(slot ring.Slot, key []byte, row causal.Container) {
		if len(row.Versions) != 1 || slot != slotOf(string(key)) || hints[string(key)] != (causal.Dot{}) {
			t.Fatalf("hint of %q is %+v", key, row)
		}
		hints[string(key)] = row.Versions[0].Dot
	})
	return hints
}

func (m *model) agreesOnRows(t testing.TB, s *Store, want *state) {
	t.Helper()
	rows, stored := map[string]causal.Dot{}, int64(0)
	must(t, s.Scan(0, 0, func(row Row) bool {
		must(t, row.Err)
		stored++
		if n := len(row.Container.Versions); n > 1 || n == 0 && !m.flushes {
			t.Fatalf("%q holds %v", row.Key, row.Container.Versions)
		}
		show(rows, row.Key, row.Container)
		return true
	}))
	want.shows(t, "scan", rows)
	if s.Count(0, 0) != int64(len(rows)) || s.Stats().Rows != stored {
		t.Fatalf("counted %d keys and %d rows, want %d and %d", s.Count(0, 0), s.Stats().Rows, len(rows), stored)
	}
}

func (st *state) agreesWhenWalked(t testing.TB, s *Store) {
	t.Helper()
	rows := map[string]causal.Dot{}
	w := s.Walk(0, true)
	for done := false; !done; {
		done = w.Next(7, func(row Row) {
			must(t, row.Err)
			show(rows, row.Key, row.Container)
		})
	}
	st.shows(t, "walk", rows)
}

func (st *state) agreesInRanges(t testing.TB, s *Store) {
	t.Helper()
	rows := map[string]causal.Dot{}
	var last Ref
	for first, done := true, false; !done; first = false {
		var err error
		done, err = s.Range(0, first, last, 3, 10_000, func(slot ring.Slot, key []byte, row causal.Container, err error) {
			must(t, err)
			last = Ref{Slot: slot, Key: slices.Clone(key)}
			show(rows, key, row)
		})
		must(t, err)
	}
	st.shows(t, "range", rows)
}

// show notes which version a row shows, if it has one.
func show(rows map[string]causal.Dot, key []byte, row causal.Container) {
	if len(row.Versions) > 0 {
		rows[string(key)] = row.Versions[0].Dot
	}
}

// shows compares what was found with what each key shows.
func (st *state) shows(t testing.TB, how string, rows map[string]causal.Dot) {
	t.Helper()
	for key, d := range st.newest {
		if rows[key] != d {
			t.Fatalf("%s: %q holds %v, want %v", how, key, rows[key], d)
		}
	}
	if len(rows) != len(st.newest) {
		t.Fatalf("%s: %d rows, want %d", how, len(rows), len(st.newest))
	}
}

// tiny makes the log go round, rows spill and rows leave memory within a few hundred ticks.
func tiny(o *Options) { o.LogBytes, o.MemoryBytes = 512<<10, 64<<10 }
