package causal

// Lost reports whether the replica has processed the dot and lost every trace of it. A processed dot stands in its row,
// or its row's vector covers it because something superseded it, or a flush dropped it, or it lies at or below the
// horizon because its row was reaped. Nothing else takes a dot out of a row, so what is left is loss: a row that was
// deleted behind the replica's back, or whose bytes are damaged (row is then zero). row is the row as View shows it.
//
// It rests on two duties of whoever removes rows or trims vectors: a row removed for a flush has its whole vector
// flushed, and the horizon rises, in the same step, over the whole vector of what is reaped or trimmed.
func (r *Replica) Lost(row Container, d Dot) bool { return r.untraced(row, d) && !r.Horizon.Covers(d) }

func (r *Replica) untraced(row Container, d Dot) bool {
	return r.Clock.Contains(d) && !row.Vector.Covers(d) && !r.Flushed.Contains(d)
}

// Restored is what a container did to a row in a comparison.
type Restored struct {
	Admitted
	Lost     int  // versions put back
	Doubtful bool // nothing was done: a version is missing that was lost or reaped, and nobody can tell which
}

// Restore merges the container that another owner holds of a key into the row, in a comparison of replicas. It is Admit
// with one exception to the late-message rule: a version that was lost here (see Lost) is taken back.
//
// The caller answers for this: when the other owner read its container it had processed all that this replica had
// processed at some earlier moment, at which the version was already missing here. So the asker notes its clock with
// its question, the answer carries the clock as it was before the container was read, and the second must cover the
// first. Without that the container may be older than a deletion that this replica has processed and lost as well, and
// would bring the deleted value back. What was processed since that moment has left its trace in the row.
//
// A container without versions does nothing: only a flush leaves one, and the flush itself comes by the log. A row that
// was robbed of its versions looks the same, and must not delete what is still safe here.
//
// As with an unreadable row, whoever puts something back begins a new life before it issues another dot: dots of this
// life may be among what was lost, and the next vector would cover them unseen.
func (r *Replica) Restore(row, in Container) Restored {
	out := Restored{Admitted: Admitted{Row: row}}
	for i := range in.Versions {
		d := in.Versions[i].Dot
		out.Doubtful = out.Doubtful || r.untraced(row, d) && r.Horizon.Covers(d)
	}
	if out.Doubtful || len(in.Versions) == 0 {
		return out
	}
	out.Admitted = r.admit(row, in, func(d Dot) bool {
		if r.Lost(row, d) {
			out.Lost++
			return true
		}
		return false
	})
	return out
}
