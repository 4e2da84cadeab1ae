package cluster

import (
	"fmt"
	"testing"
	"time"

	"shoal/node"
)

// five founds a cluster of five nodes with three copies of each key.
func (w *world) five(changes ...change) []*machine {
	w.t.Helper()
	machines := []*machine{w.machine("n1", changes...).up()}
	for i := 2; i <= 5; i++ {
		machines = append(machines, w.machine(fmt.Sprint("n", i), append(changes, joining("n1"))...).up())
	}
	w.together(5*time.Second, machines...)
	return machines
}

// settled waits until nothing of the past is left anywhere: no hint, no tombstone, no log entry.
func (w *world) settled(within time.Duration, machines ...*machine) {
	w.t.Helper()
	w.eventually(within, "nothing of the past is left", func() string {
		for _, m := range machines {
			if st := m.status(); st.Hints != 0 || st.Tombstones != 0 || st.LogEntries != 0 {
				return fmt.Sprintf("%s: %d hints, %d rows of tombstones, %d log entries", m.name, st.Hints, st.Tombstones, st.LogEntries)
			}
		}
		return ""
	})
}

// The cluster is cut in two; both sides go on writing the keys of which they have an owner, with hinted copies where
// they have only one. Afterwards every acknowledged value is there, on every node, and no hint is left.
func TestBothSidesOfACutTakeWrites(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m := w.five()
		left, right := m[:2], m[2:]
		for _, a := range left {
			for _, b := range right {
				w.net.CutBoth(a.ip, b.ip)
			}
		}
		time.Sleep(4 * time.Second)
		acked := map[string]string{}
		counts := [2]int{}
		for i := range 200 {
			for side, nodes := range [][]*machine{left, right} {
				key := fmt.Sprint("side", side, "-", i)
				if err := nodes[i%len(nodes)].client().Set(background, key, key, 0).Err(); err == nil {
					acked[key] = key
					counts[side]++
				}
			}
		}
		// A side of two nodes has an owner of nine keys in ten, a side of three of all.
		if counts[0] < 150 || counts[1] != 200 {
			t.Fatalf("acknowledged on the two sides: %v of 200", counts)
		}
		sloppy := uint64(0)
		for _, x := range m {
			sloppy += x.status().Coord.SloppyWrites
		}
		if sloppy == 0 {
			t.Fatal("no write needed a hint: the test shows nothing")
		}
		w.net.HealAll()
		w.together(15*time.Second, m...)
		w.settled(60*time.Second, m...)
		for i, c := range clients(m...) {
			for key, value := range acked {
				if got, err := c.Get(background, key).Result(); err != nil || got != value {
					t.Fatalf("node %d answers %q, %v for %s", i, got, err, key)
				}
			}
		}
	})
}

// With --strict the same side refuses what it has too few owners for, and nothing was written.
func TestStrictRefusesWhatNeedsAHint(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m := w.five(strict)
		for _, x := range m[1:] {
			x.kill()
		}
		time.Sleep(4 * time.Second)
		c := m[0].client()
		for i := range 50 {
			wantError(t, c, "NOREPLICAS ", "SET", fmt.Sprint("k", i), "v")
		}
		if st := m[0].status(); st.Hints != 0 || st.Rows != 0 {
			t.Fatalf("%d hints and %d rows after refusals", st.Hints, st.Rows)
		}
	})
}

// The owner whose copy is only a hint gets it when it is back, also when the holder and the coordinator were restarted
// meanwhile and nobody writes or reads.
func TestHintsAreReplayedWithoutTraffic(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m := w.five()
		for _, x := range m[2:] {
			x.kill()
		}
		time.Sleep(4 * time.Second)
		var keys []string
		for i := range 100 {
			key := fmt.Sprint("k", i)
			if m[i%2].client().Set(background, key, key, 0).Err() == nil {
				keys = append(keys, key)
			}
		}
		if len(keys) < 50 || m[0].status().Hints+m[1].status().Hints == 0 {
			t.Fatalf("%d keys, no hints", len(keys))
		}
		for _, x := range m[:2] {
			x.kill()
		}
		for _, x := range m {
			if err := x.start(); err != nil {
				t.Fatal(err)
			}
		}
		for _, x := range m {
			x.ready(10 * time.Second)
		}
		w.together(15*time.Second, m...)
		w.settled(60*time.Second, m...)
		for _, c := range clients(m...) {
			for _, key := range keys {
				want(t, c, key, "GET", key)
			}
		}
	})
}

// Deleted keys, overwritten ones and keys that expire leave nothing behind.
func TestNothingIsLeftOfWhatWasDeleted(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n1, n2, n3 := w.three()
		nodes := clients(n1, n2, n3)
		for i := range 300 {
			key := fmt.Sprint("k", i)
			do(t, nodes[i%3], "SET", key, "v")
			switch i % 3 {
			case 0:
				do(t, nodes[(i+1)%3], "DEL", key)
			case 1:
				do(t, nodes[(i+1)%3], "PEXPIRE", key, 3000)
			}
		}
		n2.kill()
		for i := 300; i < 330; i++ {
			do(t, nodes[0], "SET", fmt.Sprint("k", i), "v")
			do(t, nodes[2], "DEL", fmt.Sprint("k", i))
		}
		n2.up()
		w.together(15*time.Second, n1, n2, n3)
		w.settled(60*time.Second, n1, n2, n3)
		w.eventually(60*time.Second, "only the keys that are left have rows", func() string {
			for _, m := range w.all {
				if st := m.status(); st.Rows != 100 {
					return fmt.Sprintf("%s keeps %d rows, and 100 keys are left", m.name, st.Rows)
				}
			}
			return ""
		})
	})
}

// An owner that was away for longer than the log reaches back is filled again, by itself.
func TestAnOwnerThatIsTooFarBehindIsFilled(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n1, n2, n3 := w.three(func(o *node.Options) { o.LogKeepBytes = 1 })
		nodes := clients(n1, n2, n3)
		for i := range 100 {
			do(t, nodes[0], "SET", fmt.Sprint("k", i), "old")
		}
		w.settled(60*time.Second, n1, n2, n3)
		n3.kill()
		for i := range 50 {
			do(t, nodes[0], "SET", fmt.Sprint("k", i), "new")
			do(t, nodes[1], "DEL", fmt.Sprint("k", i+50))
		}
		for _, m := range []*machine{n1, n2} {
			m.life.node.ForgetLog()
		}
		n3.up()
		w.together(15*time.Second, n1, n2, n3)
		w.digests(clients(n1, n2, n3), 50, 60*time.Second) // a partition is whole until a pull finds it to be behind
		w.filled(60*time.Second, n1, n2, n3)
		if n3.status().Refill.Ended == 0 {
			t.Fatal("no replica was filled: the test shows nothing")
		}
		n1.kill()
		n2.kill()
		time.Sleep(3 * time.Second)
		c := n3.client()
		for i := range 50 {
			want(t, c, "new", "GET", fmt.Sprint("k", i))
			want(t, c, nil, "GET", fmt.Sprint("k", i+50))
		}
	})
}
