package causal

// Replica is the causal state of one partition replica beside its rows: who it is, what it has processed, what it
// has dropped as a whole, what it has forgotten. Rows, log and clock change together or not at all; the store that
// keeps them makes that so.
type Replica struct {
	Life    Actor  // the actor of this life; fresh at every boot and every time the replica is created
	Seq     uint64 // the last seq that Life issued
	Clock   Clock  // every dot processed
	Flushed Clock  // every dot that a range tombstone dropped, also those still to arrive
	Horizon Vector // below it, tombstones were reaped or the log trimmed
	Filling bool   // it is being filled: it answers no read, coordinates nothing, takes no write and is no place
}

// Next issues a dot. It is never issued again in any life.
func (r *Replica) Next() Dot {
	r.Seq++
	return Dot{r.Life, r.Seq}
}

// View is the row as it counts: without the versions that a flush dropped.
func (r *Replica) View(row Container) Container {
	if r.Flushed.IsZero() {
		return row
	}
	for i := range row.Versions {
		if r.Flushed.Contains(row.Versions[i].Dot) {
			return r.unflushed(row)
		}
	}
	return row
}

func (r *Replica) unflushed(row Container) Container {
	kept := make([]Version, 0, len(row.Versions))
	for i := range row.Versions {
		if !r.Flushed.Contains(row.Versions[i].Dot) {
			kept = append(kept, row.Versions[i])
		}
	}
	return Container{Versions: kept, Vector: row.Vector}
}

// Admitted is the outcome of taking in a container.
type Admitted struct {
	Row       Container // the row afterwards
	Changed   bool      // Row differs from the row before
	Fresh     []Dot     // dots processed for the first time: they belong into log and clock
	Uncovered bool      // the row held a value, expired or not, that the container had not seen
	TwoValues bool      // one dot came with two different values: an alarm; the row's own is kept
}

// Admit merges an incoming container into the row (as View shows it) by the late-message rule: a dot that the clock
// covers and the row lacks was processed before and is dropped, dot by dot, while the container's other dots are
// still merged. It changes neither clock nor row: the caller stores Row and marks Fresh in one step.
//
// A container that brings nothing but such dots does not raise a row that is not there (reaped, or lost): a vector
// without its versions would stay for ever after a reaping, and after a loss would delete what others still hold.
func (r *Replica) Admit(row, in Container) Admitted { return r.admit(row, in, nil) }

// admit is Admit; versions for which lost is true (nil: for none) are taken although the clock covers them.
func (r *Replica) admit(row, in Container, lost func(Dot) bool) Admitted {
	var out Admitted
	kept, back := in.Versions, false
	for i := range in.Versions {
		v := &in.Versions[i]
		seen, flushed := r.Clock.Contains(v.Dot), r.Flushed.Contains(v.Dot)
		if !seen {
			out.Fresh = append(out.Fresh, v.Dot)
		}
		held := row.Find(v.Dot)
		if held != nil && !sameValue(held, v) {
			out.TwoValues = true
		}
		late := (seen || flushed) && held == nil
		if late && lost != nil && lost(v.Dot) {
			late, back = false, true
		}
		if late {
			if len(kept) == len(in.Versions) {
				kept = in.Versions[:i:i] // the next append copies
			}
		} else if len(kept) != len(in.Versions) {
			kept = append(kept, *v)
		}
	}
	for i := range row.Versions {
		v := &row.Versions[i]
		if v.Kind != KindTombstone && !in.Vector.Covers(v.Dot) {
			out.Uncovered = true
		}
	}
	if row.Empty() && !back && r.Clock.CoversVector(in.Vector) { // then every dot of in was late
		return out
	}
	out.Row = Merge(row, Container{Versions: kept, Vector: in.Vector})
	out.Changed = !Same(row, out.Row)
	return out
}

func sameValue(a, b *Version) bool {
	return a.Kind == b.Kind && a.HLC == b.HLC && a.Expiry == b.Expiry && string(a.Payload) == string(b.Payload)
}

// Mark records processed dots in the clock.
func (r *Replica) Mark(dots []Dot) {
	for _, d := range dots {
		r.Clock.Add(d)
	}
}

// Flush applies a range tombstone: every dot of dropped is dropped, here and whenever it arrives.
func (r *Replica) Flush(dropped *Clock) { r.Flushed.Union(dropped) }
