package sim

import (
	"fmt"

	"shoal/wire"
)

func (s *Stats) add(o *Stats) {
	s.Seeds += o.Seeds
	for i, x := range o.list() {
		*s.list()[i] += *x
	}
}

func (s *Stats) list() []*int {
	return []*int{
		&s.ops, &s.ok, &s.acked, &s.frames, &s.kills, &s.losses, &s.refused, &s.cuts, &s.reap, &s.joins, &s.siblings,
		&s.repaired, &s.sloppy, &s.readFirst, &s.uncertain, &s.flushed, &s.pulledKeys, &s.events, &s.left,
		&s.exchanges, &s.vanished, &s.damaged, &s.putBack, &s.sloppyWrites, &s.hinted, &s.replayed, &s.trims, &s.closed, &s.surveys,
		&s.disks, &s.restored, &s.fills, &s.filledRows, &s.replaced, &s.jumps,
	}
}

// String is one line of what was exercised.
func (s *Stats) String() string {
	return fmt.Sprintf("%d seeds: %d operations (%d answered OK, %d uncertain), %d acknowledged writes, %d flushes, "+
		"%d answers with siblings, %d kills, %d power cuts (%d forbidden), %d cuts, %d reaped, %d joins, %d read repairs, "+
		"%d sloppy reads, %d writes that read first, %d keys pulled, %d frames, %d events, %d keys of plain clients ended with siblings, "+
		"%d comparisons, %d rows vanished, %d damaged, %d put back, %d sloppy writes, %d changes of hints, %d hints replayed, "+
		"%d logs trimmed, %d actors closed by %d surveys, %d disks lost (%d replacements took their places), "+
		"%d backups restored, %d replicas filled with %d rows, %d jumps of clocks",
		s.Seeds, s.ops, s.ok, s.uncertain, s.acked, s.flushed, s.siblings, s.kills, s.losses, s.refused, s.cuts, s.reap,
		s.joins, s.repaired, s.sloppy, s.readFirst, s.pulledKeys, s.frames, s.events, s.left, s.exchanges, s.vanished, s.damaged, s.putBack,
		s.sloppyWrites, s.hinted, s.replayed, s.trims, s.closed, s.surveys, s.disks, s.replaced, s.restored, s.fills, s.filledRows, s.jumps)
}

func (w *World) finalStats() Stats {
	s := w.stats
	s.Seeds = 1
	for _, f := range w.oracle.facts {
		if f.acked {
			s.acked++
		}
		if f.flush {
			s.flushed++
		}
	}
	for _, op := range w.ops {
		if op.done && op.status == wire.Uncertain {
			s.uncertain++
		}
		if len(op.result.Siblings) > 1 {
			s.siblings++
		}
	}
	for _, n := range w.nodes {
		m := &n.machine.Stats
		s.repaired += int(m.ReadRepairs)
		s.sloppy += int(m.SloppyReads)
		s.sloppyWrites += int(m.SloppyWrites)
		s.replayed += int(n.keeper.Stats.Replayed)
		s.readFirst += int(m.ReadFirst)
		s.pulledKeys += int(n.puller.Stats.KeysTaken)
		s.exchanges += int(n.comparer.Stats.Exchanges)
		s.putBack += int(n.comparer.Stats.Repaired)
		s.surveys += int(n.closer.Stats.Surveys)
		s.closed += int(n.closer.Stats.Closed)
		s.filledRows += int(n.refiller.Stats.Rows)
	}
	return s
}
