package engine

import (
	"math"

	"shoal/causal"
)

// summary is what the counters know of a row as it counts, without the versions that a flush dropped.
type summary struct {
	values     int   // versions that are not tombstones
	tombstones int   // versions that are
	due        int64 // there may be no candidate that is due earlier: see deadRows
	until      int64 // unix ms at which the last value expires; 0: no value, forever: one does not expire
}

const forever = math.MaxInt64

func summarize(view causal.Container) summary {
	var s summary
	for i := range view.Versions {
		v := &view.Versions[i]
		if v.Kind == causal.KindTombstone {
			s.tombstones++
			continue
		}
		s.values++
		if v.Expiry == 0 {
			s.until = forever
		}
		s.until = max(s.until, v.Expiry)
	}
	return s
}

// plainFlag is flagPlain for the usual row, one value that does not expire.
func plainFlag(c causal.Container) byte {
	if len(c.Versions) == 1 && c.Versions[0].Kind != causal.KindTombstone && c.Versions[0].Expiry == 0 {
		return flagPlain
	}
	return 0
}

// summaryOf summarizes a record that holds a row.
func (s *Store) summaryOf(r *replica, rec record) summary {
	if rec.has(flagPlain) && r.Flushed.IsZero() {
		return summary{values: 1, until: forever, due: forever}
	}
	c, err := s.scratchDecode(rec.container())
	if err != nil { // it was written or verified by this process
		s.log.Error("a row in memory does not decode", "error", err)
	}
	view := r.View(c)
	out := summarize(view)
	// What a flush dropped and no sweep has removed yet counted when the candidate was noted, and no longer when it was checked.
	out.due = max(due(c), due(view))
	return out
}
