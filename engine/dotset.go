package engine

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"

	"shoal/causal"
)

// dotSet is the set of dots that a partition's log has entries of, wherever they are: of each actor the runs of seqs,
// sorted, disjoint and not adjacent. Dots arrive nearly in order, so a log without gaps is a run or two.
type dotSet struct {
	actors []actorRuns
	n      int // dots
}

type actorRuns struct {
	actor causal.Actor
	runs  []causal.Range
}

func (x *dotSet) find(a causal.Actor) (int, bool) {
	if n := len(x.actors); n > 0 && x.actors[n-1].actor == a { // the newest life is the last and the busiest
		return n - 1, true
	}
	return slices.BinarySearchFunc(x.actors, a, func(e actorRuns, a causal.Actor) int { return cmp.Compare(e.actor, a) })
}

// add reports whether the dot was new.
func (x *dotSet) add(d causal.Dot) bool {
	i, ok := x.find(d.Actor)
	if !ok {
		x.actors = slices.Insert(x.actors, i, actorRuns{actor: d.Actor})
	}
	e := &x.actors[i]
	if !e.add(d.Seq) {
		return false
	}
	x.n++
	return true
}

func (e *actorRuns) add(seq uint64) bool {
	if n := len(e.runs); n > 0 && e.runs[n-1].To == seq-1 { // the usual case
		e.runs[n-1].To = seq
		return true
	}
	i := e.after(seq)
	if i > 0 && seq <= e.runs[i-1].To {
		return false
	}
	left := i > 0 && e.runs[i-1].To == seq-1
	right := i < len(e.runs) && e.runs[i].From-1 == seq
	switch {
	case left && right:
		e.runs[i-1].To = e.runs[i].To
		e.runs = slices.Delete(e.runs, i, i+1)
	case left:
		e.runs[i-1].To = seq
	case right:
		e.runs[i].From = seq
	default:
		e.runs = slices.Insert(e.runs, i, causal.Range{From: seq, To: seq})
	}
	return true
}

// after is the index of the first run that begins above seq.
func (e *actorRuns) after(seq uint64) int {
	i, found := slices.BinarySearchFunc(e.runs, seq, func(r causal.Range, seq uint64) int { return cmp.Compare(r.From, seq) })
	if found {
		i++
	}
	return i
}

// cut removes the dots of an actor up to a seq and returns how many there were.
func (x *dotSet) cut(a causal.Actor, seq uint64) int {
	i, ok := x.find(a)
	if !ok {
		return 0
	}
	e, cut := &x.actors[i], uint64(0)
	gone := e.after(seq)
	for _, r := range e.runs[:gone] {
		cut += min(r.To, seq) - r.From + 1
	}
	if gone > 0 && e.runs[gone-1].To > seq {
		gone--
		e.runs[gone].From = seq + 1
	}
	if e.runs = e.runs[gone:]; len(e.runs) == 0 {
		x.actors = slices.Delete(x.actors, i, i+1)
	}
	x.n -= int(cut)
	return int(cut)
}

// append encodes the set: number of actors, per actor its 8 bytes, number of runs, per run its distance from the end
// of the one before it and its length less one, as varints.
func (x *dotSet) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(x.actors)))
	for i := range x.actors {
		e := &x.actors[i]
		b = binary.BigEndian.AppendUint64(b, uint64(e.actor))
		b = binary.AppendUvarint(b, uint64(len(e.runs)))
		last := uint64(0)
		for _, r := range e.runs {
			b = binary.AppendUvarint(b, r.From-last)
			b = binary.AppendUvarint(b, r.To-r.From)
			last = r.To
		}
	}
	return b
}

var errDotSet = errors.New("malformed set of dots")

func decodeDotSet(b []byte) (dotSet, error) {
	var x dotSet
	next := func() uint64 {
		n, k := binary.Uvarint(b)
		if k <= 0 {
			b = nil
			return 0
		}
		b = b[k:]
		return n
	}
	for range next() {
		if len(b) < 9 {
			return dotSet{}, errDotSet
		}
		e := actorRuns{actor: causal.Actor(binary.BigEndian.Uint64(b))}
		b = b[8:]
		runs := next()
		if runs == 0 || runs > uint64(len(b)/2) {
			return dotSet{}, errDotSet
		}
		last := uint64(0)
		for range runs {
			from := last + next()
			to := from + next()
			if from <= last || to < from || len(e.runs) > 0 && from == last+1 {
				return dotSet{}, errDotSet
			}
			e.runs = append(e.runs, causal.Range{From: from, To: to})
			last = to
			x.n += int(to - from + 1)
		}
		if n := len(x.actors); n > 0 && x.actors[n-1].actor >= e.actor {
			return dotSet{}, errDotSet
		}
		x.actors = append(x.actors, e)
	}
	if len(b) > 0 {
		return dotSet{}, errDotSet
	}
	return x, nil
}
