package engine

import (
	"bytes"
	"hash/maphash"
)

// table finds the rows of one partition in memory: open addressing, linear probing, the upper bits of the hash are
// the home. The hash is kept, so growing reads no row. One table per partition keeps growing short and lets a scan
// look at its own partition alone.
type table struct {
	cells []cell
	n     int
	shift uint8 // 32 - log2(len(cells))
}

type cell struct{ hash, slab, off uint32 } // slab 0: empty

const (
	leastCells = 8
	cellSize   = 12 // bytes
)

// hashSeed is of this process: nobody outside can choose keys that all meet in one place.
var hashSeed = maphash.MakeSeed()

func hashOf(name []byte) uint32 { return uint32(maphash.Bytes(hashSeed, name) >> 32) }

// find returns the index of the row's cell, -1 when the table does not have it.
func (t *table) find(m *slabs, hash uint32, name []byte) int {
	if t.n == 0 {
		return -1
	}
	mask := len(t.cells) - 1
	for i := int(hash >> t.shift); ; i = (i + 1) & mask {
		c := &t.cells[i]
		if c.slab == 0 {
			return -1
		}
		if c.hash == hash && bytes.Equal(m.at(c.slab, c.off).name(), name) {
			return i
		}
	}
}

// findAt returns the index of the cell that points at a record, -1 when none does: then the record is garbage.
func (t *table) findAt(hash, slab, off uint32) int {
	if t.n == 0 {
		return -1
	}
	mask := len(t.cells) - 1
	for i := int(hash >> t.shift); ; i = (i + 1) & mask {
		c := &t.cells[i]
		if c.slab == 0 {
			return -1
		}
		if c.slab == slab && c.off == off {
			return i
		}
	}
}

// insert adds a row that the table does not have.
func (t *table) insert(c cell) {
	if (t.n+1)*5 > len(t.cells)*4 {
		t.grow()
	}
	t.place(c)
	t.n++
}

func (t *table) place(c cell) {
	mask := len(t.cells) - 1
	i := int(c.hash >> t.shift)
	for t.cells[i].slab != 0 {
		i = (i + 1) & mask
	}
	t.cells[i] = c
}

func (t *table) grow() {
	old := t.cells
	size := max(leastCells, 2*len(old))
	t.cells = make([]cell, size)
	t.shift = 32
	for ; size > 1; size >>= 1 {
		t.shift--
	}
	for _, c := range old {
		if c.slab != 0 {
			t.place(c)
		}
	}
}

// remove empties a cell and moves those back that its being full had pushed on.
func (t *table) remove(i int) {
	t.n--
	mask := len(t.cells) - 1
	for j := (i + 1) & mask; t.cells[j].slab != 0; j = (j + 1) & mask {
		home := int(t.cells[j].hash >> t.shift)
		if (j-home)&mask >= (j-i)&mask {
			t.cells[i] = t.cells[j]
			i = j
		}
	}
	t.cells[i] = cell{}
}
