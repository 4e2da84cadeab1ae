package causal

// untraced reports whether the replica has processed the dot and neither row nor flush shows what became of it. A
// processed dot stands in its row, or its row's vector covers it because something superseded it, or a flush dropped it,
// or it lies at or below the horizon because its row was reaped. Nothing else takes a dot out of a row, so above the
// horizon this means loss: a row that was deleted behind the replica's back, or whose bytes are damaged (row is then
// zero). row is the row as View shows it.
//
// It rests on two duties of whoever removes rows or trims vectors: a row removed for a flush has its whole vector
// flushed, and the horizon rises, in the same step, over the whole vector of what is reaped or trimmed.
func (r *Replica) untraced(row Container, d Dot) bool {
	return r.Clock.Contains(d) && !row.Vector.Covers(d) && !r.Flushed.Contains(d)
}

// Restored is what a container did to a row in a comparison.
type Restored struct {
	Admitted
	Lost     int  // versions put back
	Doubtful bool // nothing was done: a version is missing that was lost or reaped, and theirs does not tell which
}

// Restore merges the container that another owner holds of a key into the row, in a comparison of replicas. It is Admit
// with one exception to the late-message rule: a version that was lost here is taken back. theirs is the other owner's
// clock as it was before it read the container.
//
// Above the horizon what left no trace was lost. At or below it a version may have been reaped as well, and only the other
// owner can tell: if theirs covers our whole horizon, as it is now, then the other had processed whatever deleted the
// versions that we reaped, and would not hold the version if it were one of them. So it was lost, and is taken. If theirs
// does not cover the horizon, nothing is done.
//
// The caller answers for this: when the other owner read its container it had processed all of this key that this replica
// has. So theirs must cover this replica's clock, but for dots that are known to be of other keys. Without it the container
// may be older than a deletion that this replica has processed and lost as well, and would bring the deleted value back.
// It is not enough that theirs covers what this replica had when it asked: what was processed since has left its trace in the
// row, but that may be what is damaged.
//
// A container without versions does nothing: only a flush leaves one, and the flush itself comes by the log. A row that
// was robbed of its versions looks the same, and must not delete what is still safe here.
//
// As with an unreadable row, whoever puts something back begins a new life before it issues another dot: dots of this
// life may be among what was lost, and the next vector would cover them unseen.
func (r *Replica) Restore(row, in Container, theirs *Clock) Restored {
	out := Restored{Admitted: Admitted{Row: row}}
	told := theirs.CoversVector(r.Horizon)
	for i := range in.Versions {
		d := in.Versions[i].Dot
		out.Doubtful = out.Doubtful || !told && r.Horizon.Covers(d) && r.untraced(row, d)
	}
	if out.Doubtful || len(in.Versions) == 0 {
		return out
	}
	out.Admitted = r.admit(row, in, func(d Dot) bool {
		if !r.untraced(row, d) {
			return false
		}
		out.Lost++
		return true
	})
	return out
}
