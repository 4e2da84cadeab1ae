package antientropy

import (
	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// onPull answers what the puller lacks.
func (m *Puller) onPull(from ring.NodeID, it *wire.Item) {
	if m.ring == nil || int(it.Partition) >= m.ring.Q || m.ring.Position(it.Partition, m.cfg.Self) < 0 {
		return
	}
	rep := m.store.Replica(it.Partition)
	if rep == nil {
		return
	}
	m.Stats.Answers++
	if !it.Clock.CoversVector(rep.Horizon) {
		m.refuse(from, it, rep)
		return
	}
	clock := rep.Clock.Clone() // before the first row is read
	answer := wire.Item{Kind: wire.ItemPulled, ID: it.ID, Partition: it.Partition, Life: rep.Life, Repair: m.durable(it.Partition)}
	whole := m.collect(it.Partition, it.Clock, &answer)
	if whole {
		answer.Flags, answer.Clock, answer.Horizon = wire.FlagComplete, &clock, rep.Horizon
	}
	if m.Whole(it.Partition) {
		answer.Flags |= wire.FlagWhole
	}
	m.out = append(m.out, Out{To: from, Item: answer})
}

// collect fills the answer with log entries and rows and reports whether nothing was left out.
func (m *Puller) collect(p ring.Partition, lacks *causal.Clock, answer *wire.Item) bool {
	whole, bytes := true, 0
	seen := map[string]bool{} // by key: whether its row could be read
	err := m.store.Log(p, lacks, func(e wire.LogEntry) bool {
		if len(answer.Entries) >= m.cfg.MaxEntries || bytes >= m.cfg.MaxBytes {
			whole = false
			return false
		}
		readable, known := seen[string(e.Key)]
		if e.Dropped == nil && !known {
			row, err := m.store.Row(p, e.Slot, e.Key)
			readable = err == nil
			seen[string(e.Key)] = readable
			if readable && !row.Empty() {
				answer.Rows = append(answer.Rows, wire.KeyRow{Slot: e.Slot, Key: e.Key, Row: row})
				bytes += row.Size()
			}
		}
		if e.Dropped == nil && !readable { // its dots must not be marked as processed: nobody could read the row
			m.Stats.Unreadable++
			whole = false
			return true
		}
		answer.Entries = append(answer.Entries, e)
		bytes += len(e.Key) + 16
		return true
	})
	if err != nil {
		m.Stats.Unreadable++
		return false
	}
	return whole
}

// onPulled takes in an answer to this life's open question; any other is dropped whole.
func (m *Puller) onPulled(now int64, from ring.NodeID, it *wire.Item) {
	e := m.open(from, it)
	if e == nil {
		return
	}
	m.close(e)
	rep := m.store.Replica(it.Partition)
	if rep == nil || rep.Life != e.life || rep.Filling {
		e.due = now
		return
	}
	if it.Has(wire.FlagRefused) {
		m.fallBehind(now, e, rep, it.Horizon)
		return
	}
	all := m.take(rep, it)
	if e.quiet = min(e.quiet+1, quietMost); len(it.Entries) > 0 || !it.Has(wire.FlagComplete) {
		e.quiet = 0
	}
	e.due = now + m.cfg.Every<<e.quiet
	if !it.Has(wire.FlagComplete) || !all {
		if all && len(it.Entries) > 0 { // there is more; otherwise damaged rows are in the way, there or here
			e.due = now
		}
		return
	}
	if !e.asked.CoversVector(it.Horizon) { // the log was trimmed while the answer was made, or it would be a refusal
		m.fallBehind(now, e, rep, it.Horizon)
		return
	}
	if !rep.Clock.Covers(it.Clock) {
		m.store.AdoptClock(it.Partition, it.Clock)
	}
	e.pulled, e.sound, e.current = true, e.sound || it.Has(wire.FlagWhole), true
	m.judge(it.Partition)
}

func (m *Puller) open(from ring.NodeID, it *wire.Item) *pull {
	if int(it.Partition) >= len(m.pulls) {
		return nil
	}
	for i := range m.pulls[it.Partition] {
		if e := &m.pulls[it.Partition][i]; e.peer == from && e.id == it.ID && e.id != 0 {
			return e
		}
	}
	return nil
}

// take merges the rows, then marks the listed dots that no row brought: they were superseded. It reports whether
// every row could be merged.
func (m *Puller) take(rep *causal.Replica, it *wire.Item) bool {
	p := it.Partition
	damaged := map[string]bool{}
	for i := range it.Rows {
		r := &it.Rows[i]
		row, err := m.store.Row(p, r.Slot, r.Key)
		if err != nil {
			m.Stats.Unreadable++
			damaged[string(r.Key)] = true
			continue
		}
		a := rep.Admit(row, r.Row)
		if a.TwoValues {
			m.Stats.TwoValues++
		}
		if a.Changed || len(a.Fresh) > 0 {
			m.store.Put(p, r.Slot, r.Key, a.Row, a.Fresh)
			m.Stats.KeysTaken++
			m.Stats.Bytes += uint64(r.Row.Size() + len(r.Key))
		}
	}
	for i := range it.Entries {
		e := &it.Entries[i]
		if rep.Clock.Contains(e.Dot) || damaged[string(e.Key)] {
			continue
		}
		m.Stats.DotsTaken++
		if e.Dropped != nil {
			m.store.Flush(p, e.Dot, e.Dropped)
			continue
		}
		m.store.Mark(p, e.Slot, e.Key, []causal.Dot{e.Dot})
	}
	return len(damaged) == 0
}
