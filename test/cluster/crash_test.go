package cluster

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"shoal/engine"
)

// book is what was acknowledged, by key.
type book struct {
	mu     sync.Mutex
	values map[string]string
	open   map[string]string // asked for, not acknowledged: may have been applied
}

// write writes to all clients at once until f ends, each key once, and returns what was acknowledged.
func write(nodes []*redis.Client, prefix string, f func()) *book {
	b := &book{values: map[string]string{}, open: map[string]string{}}
	done := make(chan struct{})
	var wg sync.WaitGroup
	for at, c := range nodes {
		for worker := range 4 {
			wg.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-done:
						return
					case <-time.After(slowdown * 20 * time.Millisecond):
					}
					key, value := fmt.Sprint(prefix, at, "-", worker, "-", i), fmt.Sprint("value ", i)
					err := c.Set(background, key, value, 0).Err()
					b.mu.Lock()
					if err == nil {
						b.values[key] = value
					} else {
						b.open[key] = value
					}
					b.mu.Unlock()
				}
			})
		}
	}
	f()
	close(done)
	wg.Wait()
	return b
}

// kept checks that each node answers everything that was acknowledged.
func (b *book) kept(t *testing.T, machines ...*machine) {
	t.Helper()
	if len(b.values) < 100/slowdown {
		t.Errorf("only %d writes were acknowledged", len(b.values))
	}
	keys := slices.Sorted(maps.Keys(b.values))
	for _, m := range machines {
		c, lost := m.client(), 0
		for part := range slices.Chunk(keys, 100) {
			answers, err := c.MGet(background, part...).Result()
			if err != nil {
				t.Errorf("%s: %v", m.name, err)
				continue
			}
			for i, key := range part {
				if answers[i] != b.values[key] {
					if lost++; lost < 4 {
						t.Errorf("%s: %s is %v; %q was acknowledged", m.name, key, answers[i], b.values[key])
					}
				}
			}
		}
		if lost > 0 {
			t.Errorf("%s lost %d of %d", m.name, lost, len(b.values))
		}
	}
}

// whole waits until every replica of the machines has made good what it may have lost. Until then each answers reads
// only together with others that are.
func (w *world) whole(within time.Duration, machines ...*machine) {
	w.t.Helper()
	w.eventually(within, "every replica is whole", func() string {
		for _, m := range machines {
			if st := m.status(); st.ReplicasWhole != st.Replicas {
				return fmt.Sprintf("%d of %d replicas of %s", st.ReplicasWhole, st.Replicas, m.name)
			}
		}
		return ""
	})
}

func (w *world) restartAll() {
	w.t.Helper()
	for _, m := range w.all {
		if err := m.start(); err != nil {
			w.t.Fatalf("%s does not start again: %v", m.name, err)
		}
	}
	for _, m := range w.all {
		m.ready(10 * time.Second)
	}
	w.together(15*time.Second, w.all...)
	w.whole(5*time.Second, w.all...)
}

// All three processes are killed under load: what they had acknowledged was with their operating systems.
func TestKillingAllNodesLosesNothing(t *testing.T) {
	for _, d := range []engine.Durability{engine.EverySec, engine.No} {
		t.Run(d.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				n1, n2, n3 := w.three(durability(d))
				for round := range 3 {
					b := write(clients(n1, n2, n3), fmt.Sprint("round", round, "-"), func() {
						time.Sleep(1500 * time.Millisecond)
						for _, m := range w.all {
							m.kill()
						}
					})
					w.restartAll()
					b.kept(t, n1, n2, n3)
				}
			})
		})
	}
}

// Power fails everywhere at once. With always nothing that was acknowledged is lost.
func TestAPowerCutLosesNothingWithAlways(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n1, n2, n3 := w.three(durability(engine.Always))
		for round, percentLeft := range []int{0, 50} {
			b := write(clients(n1, n2, n3), fmt.Sprint("round", round, "-"), func() {
				time.Sleep(1500 * time.Millisecond)
				powerCut(percentLeft, n1, n2, n3)
			})
			w.restartAll()
			b.kept(t, n1, n2, n3)
		}
	})
}

// With everysec a power cut everywhere loses the last second at most, and what comes back is the same on each node.
func TestAPowerCutLosesASecondAtMostWithEverysec(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n1, n2, n3 := w.three()
		for round, percentLeft := range []int{0, 50, 95} {
			old := write(clients(n1, n2, n3), fmt.Sprint("old", round, "-"), func() { time.Sleep(time.Second) })
			time.Sleep(1100 * time.Millisecond)
			recent := write(clients(n1, n2, n3), fmt.Sprint("recent", round, "-"), func() {
				time.Sleep(700 * time.Millisecond)
				powerCut(percentLeft, n1, n2, n3)
			})
			w.restartAll()
			old.kept(t, n1, n2, n3)
			nodes := clients(n1, n2, n3)
			for key := range recent.values {
				want(t, nodes[1], do(t, nodes[0], "GET", key), "GET", key)
				want(t, nodes[2], do(t, nodes[0], "GET", key), "GET", key)
			}
			after := write(nodes, fmt.Sprint("after", round, "-"), func() { time.Sleep(time.Second) })
			after.kept(t, n1, n2, n3)
			for _, m := range w.all {
				if st := m.status(); st.Coord.TwoValues+st.Pull.TwoValues != 0 {
					t.Errorf("%s: one dot has two values", m.name)
				}
			}
		}
	})
}

// One machine loses its tail; the two others have what was acknowledged, and it takes that back by itself.
func TestOneLostTailIsMadeGoodByTheOthers(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n1, n2, n3 := w.three()
		for round, victim := range []*machine{n1, n2, n3, n1} {
			b := write(clients(n1, n2, n3), fmt.Sprint("round", round, "-"), func() {
				time.Sleep(800 * time.Millisecond)
				victim.cutPower(0)
				time.Sleep(4 * time.Second)
			})
			victim.up()
			w.together(15*time.Second, n1, n2, n3)
			b.kept(t, n1, n2, n3)
			w.whole(10*time.Second, victim)
		}
	})
}

// A replica that lost its tail knows that it may be missing something: it must not answer "not found" alone.
func TestANodeThatMayHaveLostItsTailDoesNotAnswerAlone(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n1, n2, n3 := w.three()
		do(t, n1.client(), "SET", "k", "v")
		powerCut(0, n1, n2, n3)
		n3.up()
		time.Sleep(5 * time.Second)
		wantError(t, n3.client(), "CLUSTERDOWN ", "GET", "k")
		wantError(t, n3.client(), "NOREPLICAS ", "SET", "k", "w")
		n1.up()
		n2.up()
		w.together(15*time.Second, n1, n2, n3)
		do(t, n3.client(), "GET", "k")
	})
}
