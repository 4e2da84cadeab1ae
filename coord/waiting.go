package coord

// waiting holds the operations that wait for others: by id, and in order of arrival. Ids count up, and the table is a
// ring indexed by their low bits; an id whose place is taken by an operation that has waited for a whole round is
// skipped.
type waiting struct {
	table  []*pending // length a power of two
	oldest *pending
	newest *pending
	last   uint64 // id
	n      int
}

const leastWaiting = 64

// add gives an operation its id.
func (w *waiting) add(p *pending) {
	if 2*w.n >= len(w.table) {
		w.grow()
	}
	mask := uint64(len(w.table) - 1)
	for w.last++; w.table[w.last&mask] != nil; w.last++ {
	}
	p.id = w.last
	w.table[p.id&mask] = p
	if p.older = w.newest; p.older != nil {
		p.older.newer = p
	} else {
		w.oldest = p
	}
	w.newest = p
	w.n++
}

// grow doubles the table: ids that differ in the low bits still do with one more.
func (w *waiting) grow() {
	w.table = make([]*pending, max(leastWaiting, 2*len(w.table)))
	for p := w.oldest; p != nil; p = p.newer {
		w.table[p.id&uint64(len(w.table)-1)] = p
	}
}

// find returns the operation with that id, nil when it has ended.
func (w *waiting) find(id uint64) *pending {
	if len(w.table) == 0 {
		return nil
	}
	if p := w.table[id&uint64(len(w.table)-1)]; p != nil && p.id == id {
		return p
	}
	return nil
}

func (w *waiting) remove(p *pending) {
	w.table[p.id&uint64(len(w.table)-1)] = nil
	if p.older != nil {
		p.older.newer = p.newer
	} else {
		w.oldest = p.newer
	}
	if p.newer != nil {
		p.newer.older = p.older
	} else {
		w.newest = p.older
	}
	w.n--
}
