package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"testing/synctest"
	"time"

	"shoal/causal"
)

// What happens to the store of TestRuins between an Open and the next.

// live is one turn of the node that has the store.
func (x *ruin) live() {
	if x.filling && x.rng.IntN(60) == 0 {
		x.full.Store(!x.full.Load())
	}
	if x.s.Full() != nil && x.rng.IntN(3) > 0 { // else it had room when the node asked
		x.maintain()
		time.Sleep(time.Duration(x.rng.IntN(400)) * time.Millisecond)
		return
	}
	x.tick()
	if !x.endTick() {
		x.met["ticks that met a full disk"]++
		return
	}
	if x.rng.IntN(3) == 0 && !x.maintain() {
		return
	}
	if x.flipping && x.rng.IntN(150) == 0 {
		x.flipInTheOpen()
	}
	x.rest()
	if x.rng.IntN(10) == 0 {
		must(x.t, x.s.Sync())
		x.ended(true)
	}
	if x.rng.IntN(50) == 0 {
		x.agrees(x.t, x.s, x.last())
	}
	x.s.Recycle()
}

// tick does a few things in one tick. One that met a full disk goes on: the two end as one.
func (x *ruin) tick() {
	c := x.change(x.s, x.rng)
	if x.rng.IntN(200) == 0 {
		// Alone: to count what it leaves, a flush may read the log, and for that the tick so far goes there by itself.
		x.flush(c)
	} else {
		for range 1 + x.rng.IntN(6) {
			x.act(c, fmt.Sprint("key", x.rng.IntN(x.keys)))
		}
		c.each(x.t)
	}
	if x.ticking {
		*x.last() = c.next
	} else {
		x.states = append(x.states, c.next)
	}
	x.ticking = true
	if x.rng.IntN(80) == 0 && !x.full.Load() && x.s.Full() == nil {
		x.last().filling = x.rng.IntN(2) == 0
		must(x.t, x.s.Fill(0, x.last().filling))
		x.durably = true
	}
}

func (x *ruin) act(c *change, key string) {
	switch dice := x.rng.IntN(60); {
	case dice < 2:
		c.reap(x.t, key)
	case dice == 2:
		c.trim()
	case dice == 3:
		x.durably = c.adopt() || x.durably
	case dice < 8:
		x.offer(key, c.hint(key, x.size))
	case dice < 12:
		c.dropHint(key)
	case dice == 12:
		c.lookForDead(x.t)
	case dice == 13:
		c.process(key)
	case dice == 14: // a row that had left memory is there again
		_, err := x.s.Row(0, slotOf(key), []byte(key))
		must(x.t, err)
	default:
		c.write(x.t, key, x.size)
	}
}

func (x *ruin) offer(key string, d causal.Dot) {
	if x.offered[key] == nil {
		x.offered[key] = map[causal.Dot]bool{}
	}
	x.offered[key][d] = true
}

// flush drops everything, or what there was a few ticks ago.
func (x *ruin) flush(c *change) {
	c.flush(x.states[len(x.states)-1-x.rng.IntN(min(4, len(x.states)))].clock.Clone())
	x.durably = true
}

// endTick answers false when the disk is full: then the tick stays.
func (x *ruin) endTick() bool {
	err := x.s.EndTick()
	if x.filling && errors.Is(err, ErrFull) {
		return false
	}
	must(x.t, err)
	if x.ticking {
		// Each tick holds a dot that was issued here.
		x.ended(x.durably || x.durability == Always || x.durability == One)
	}
	return true
}

// maintain is a slice of background work, and the tick that it makes.
func (x *ruin) maintain() bool {
	_, err := x.s.Maintain([]int{1, 64, 1000}[x.rng.IntN(3)])
	must(x.t, err)
	return x.endTick()
}

// rest gives the store's goroutines time: none, until they can do no more, or so much that one that waits goes on.
func (x *ruin) rest() {
	if x.rng.IntN(x.rests) == 0 {
		synctest.Wait()
	}
	if x.rng.IntN(20) == 0 {
		time.Sleep(time.Duration(x.rng.IntN(2000)) * time.Microsecond)
	}
}

// awaitRoom waits until a disk that has room again is known to have it.
func (x *ruin) awaitRoom() {
	x.full.Store(false)
	for range 100 {
		if x.endTick() && x.s.Full() == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	x.t.Fatalf("the disk has room, and the store is full for ever: %v", x.s.Full())
}

// flipInTheOpen flips a bit of a record in a live segment. The store need not notice before the next Open.
func (x *ruin) flipInTheOpen() {
	seg := x.s.wal.live[x.rng.IntN(len(x.s.wal.live))]
	if seg.at > 0 {
		x.met["flips in the open"]++
		x.flips++
		x.flip(seg.num, x.rng.Int64N(seg.at))
	}
}

// flipOffline flips a bit of a segment while no store is open.
func (x *ruin) flipOffline() {
	nums, err := listSegments(x.disk, "data/log")
	if errors.Is(err, fs.ErrNotExist) || len(nums) == 0 { // the first Open had come to nothing
		return
	}
	must(x.t, err)
	num := nums[x.rng.IntN(len(nums))]
	if b := content(x.t, x.disk, "data/log/"+segmentName(num)); len(b) > 0 {
		x.met["flips"]++
		x.flip(num, x.rng.Int64N(int64(len(b))))
	}
}

// flip flips a bit of a segment. Where that hits a record the log may end before it: if Pebble has the record the store
// does not notice, and if Pebble counts on it the store begins empty.
func (x *ruin) flip(num uint32, at int64) {
	path := "data/log/" + segmentName(num)
	if seq := recordOver(content(x.t, x.disk, path), num, at); seq > 0 {
		x.promise(func(p *promise) { p.before = append(p.before, x.lastBefore(seq)) })
	}
	flipBit(x.t, x.disk, path, at, x.rng)
}

// recordOver is the sequence of the record that has a byte of a segment, 0 when none does: what lies behind the end
// of the log is no record, and what lies behind a bit that was flipped before is not found, nor will Open find it.
func recordOver(b []byte, num uint32, at int64) uint64 {
	for from := 0; ; {
		rec, ok := recordAt(b, from, num)
		if !ok {
			return 0
		}
		if from = rec.end(); int64(from) > at {
			return rec.seq
		}
	}
}

// lastBefore is the last state that stands in the log before a record.
func (x *ruin) lastBefore(seq uint64) int {
	i := len(x.states) - 1
	for i >= 0 && x.states[i].seq >= seq {
		i--
	}
	return i
}
