package engine

import (
	"cmp"
	"slices"

	"shoal/ring"
)

// The log entries that left the log's segments, one row of Pebble per dot, may take Options.LogKeepBytes. Beyond it the
// partitions with most of them are trimmed, to what their own clocks have without a hole, until a quarter of the room
// is free: an owner that was away for so long is refilled then.
type logCap struct {
	most  int64 // bytes
	bytes int64 // of rows that rounds wrote
	dots  int64 // how many
}

const (
	leastLogKeep  = 64 << 20
	dotRowBytes   = 64 // of a dot's row, until a round tells
	diskShareKeep = 10 // of the disk, percent
)

func (s *Store) settleLogCap() {
	s.cap.most = s.opt.LogKeepBytes
	if s.cap.most > 0 {
		return
	}
	s.cap.most = leastLogKeep
	if usage, err := s.fs.GetDiskUsage(s.opt.Dir); err == nil {
		s.cap.most = max(s.cap.most, int64(usage.TotalBytes/100)*diskShareKeep)
	}
}

// dotRow is the mean size of a dot's row.
func (c *logCap) dotRow() int64 {
	if c.dots == 0 {
		return dotRowBytes
	}
	return max(1, c.bytes/c.dots)
}

func (c *logCap) note(r *round) {
	if c.dots > 1<<40 { // newer rounds count more
		c.dots, c.bytes = c.dots/2, c.bytes/2
	}
	c.dots, c.bytes = c.dots+r.dots, c.bytes+r.dotBytes
}

// kept is how many of a partition's entries are in Pebble alone, when its index was cleared of segments that are gone.
func (r *replica) kept() int {
	n := r.logged.n
	for i := range r.dots {
		e := &r.dots[i]
		n -= len(e.dots) - e.after(r.Horizon.Of(e.actor))
	}
	return max(0, n)
}

// capLog trims if the entries in Pebble take too much.
func (s *Store) capLog() {
	type part struct {
		p    ring.Partition
		kept int
	}
	s.indexDots()
	var parts []part
	total, row := int64(0), s.cap.dotRow()
	for p, r := range s.replicas.all() {
		if n := r.kept(); n > 0 {
			parts = append(parts, part{p, n})
			total += int64(n) * row
		}
	}
	if total <= s.cap.most {
		return
	}
	slices.SortFunc(parts, func(a, b part) int { return cmp.Or(cmp.Compare(b.kept, a.kept), cmp.Compare(a.p, b.p)) })
	trimmed, entries := 0, 0
	for _, x := range parts {
		if total <= s.cap.most*3/4 {
			break
		}
		r := s.replicas.of(x.p)
		before := r.logged.n
		s.Trim(x.p, bases(&r.Clock))
		total -= int64(x.kept) * row
		trimmed, entries = trimmed+1, entries+before-r.logged.n
	}
	s.stats.logTrimmed.Add(int64(entries))
	s.log.Warn("the log's old entries take more than their share of the disk: partitions are trimmed, and an owner that lacks those entries will be refilled",
		"partitions", trimmed, "entries", entries, "limit", s.cap.most)
}
