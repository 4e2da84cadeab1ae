package engine

import (
	"fmt"

	"shoal/causal"
)

// String is the name that operators use: Redis's appendfsync, and "one" of the copies.
func (d Durability) String() string {
	switch d {
	case Always:
		return "always"
	case No:
		return "no"
	case One:
		return "one"
	}
	return "everysec"
}

// ParseDurability is the inverse of String.
func ParseDurability(name string) (Durability, error) {
	for _, d := range []Durability{EverySec, Always, No, One} {
		if d.String() == name {
			return d, nil
		}
	}
	return 0, fmt.Errorf("%q: want always, one, everysec or no", name)
}

// syncsNow reports whether the tick must be on the disk before it ends.
func (s *Store) syncsNow() bool {
	return s.tick.durably || s.opt.Durability == Always || s.opt.Durability == One && s.tick.own
}

// noteOwn notes whether a dot of the tick was issued here: then this node coordinates the write, and with One the
// answer waits for this disk. The copies on other nodes are theirs to defer.
func (s *Store) noteOwn(r *replica, dots []causal.Dot) {
	for _, d := range dots {
		s.tick.own = s.tick.own || d.Actor == r.Life
	}
}
