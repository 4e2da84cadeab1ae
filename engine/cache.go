package engine

import (
	"math"

	"shoal/causal"
)

// entry is a row as stored. A nil raw says that there is no row. It is not changed once made, but for decoding late.
type entry struct {
	raw    []byte // encoded container, owned by the entry
	row    causal.Container
	parsed bool
}

func (e *entry) container() (causal.Container, error) {
	if !e.parsed && e.raw != nil {
		c, err := causal.DecodeContainer(e.raw)
		if err != nil {
			return causal.Container{}, err
		}
		e.row = c
	}
	e.parsed = true
	return e.row, nil
}

// rowCache keeps the rows touched last in two generations: what is used moves to the young one, and when that is full
// the old one is forgotten. Its rows were verified when they were read, or were written by this process.
type rowCache struct {
	limit      int64 // bytes, both generations
	young, old map[string]*entry
	size       int64 // bytes of young
}

const entryOverhead = 192 // bytes: entry, decoded container, map slot

func (c *rowCache) get(name []byte) *entry {
	if e := c.young[string(name)]; e != nil {
		return e
	}
	e := c.old[string(name)]
	if e != nil {
		c.put(string(name), e)
	}
	return e
}

func (c *rowCache) put(name string, e *entry) {
	if c.young == nil || c.size > c.limit/2 {
		c.old, c.young, c.size = c.young, make(map[string]*entry), 0
	}
	c.young[name] = e
	c.size += int64(len(name)+len(e.raw)) + entryOverhead
}

func (c *rowCache) drop(name []byte) {
	delete(c.young, string(name))
	delete(c.old, string(name))
}

// summary is what the counters know of a row as it counts, without the versions that a flush dropped.
type summary struct {
	values     int   // versions that are not tombstones
	tombstones int   // versions that are
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
