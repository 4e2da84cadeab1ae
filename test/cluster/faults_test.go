package cluster

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// load writes and reads through the clients, all the time, and counts what failed from a moment on.
type load struct {
	t       *testing.T
	wg      sync.WaitGroup
	done    chan struct{}
	mu      sync.Mutex
	from    time.Time
	failed  []string
	slowest time.Duration
	calls   int
	last    map[string]string // what was acknowledged last, by key
}

// loadOn starts to write and read through each of the clients; each writes keys of its own.
func loadOn(t *testing.T, nodes ...redis.Cmdable) *load {
	l := &load{t: t, done: make(chan struct{}), from: time.Now().Add(24 * time.Hour), last: map[string]string{}}
	for at, c := range nodes {
		for worker := range 4 {
			l.wg.Go(func() { l.run(c, fmt.Sprint("load", at, "-", worker)) })
		}
	}
	return l
}

func (l *load) run(c redis.Cmdable, prefix string) {
	for i := 0; ; i++ {
		select {
		case <-l.done:
			return
		case <-time.After(slowdown * 25 * time.Millisecond):
		}
		key, value := fmt.Sprint(prefix, "-", i%16), fmt.Sprint(i)
		began := time.Now()
		err := c.Set(background, key, value, 0).Err()
		l.note(began, "SET "+key, err)
		if err != nil {
			continue
		}
		l.mu.Lock()
		l.last[key] = value
		l.mu.Unlock()
		began = time.Now()
		got, err := c.Get(background, key).Result()
		if err == nil && got != value {
			l.t.Errorf("%s is %q after %q was acknowledged", key, got, value)
		}
		l.note(began, "GET "+key, err)
	}
}

func (l *load) note(began time.Time, what string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if began.Before(l.from) {
		return
	}
	l.calls++
	l.slowest = max(l.slowest, time.Since(began))
	if err != nil && len(l.failed) < 10 {
		l.failed = append(l.failed, fmt.Sprintf("%v after: %s: %v", began.Sub(l.from), what, err))
	}
}

// countFrom forgets what was and counts from then on.
func (l *load) countFrom(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.from, l.failed, l.slowest, l.calls = at, nil, 0, 0
}

// end stops and checks that nothing failed.
func (l *load) end() {
	l.t.Helper()
	close(l.done)
	l.wg.Wait()
	if len(l.failed) > 0 || l.calls < 100 {
		l.t.Errorf("of %d calls failed:\n%s", l.calls, strings.Join(l.failed, "\n"))
	}
	if l.slowest > time.Second {
		l.t.Errorf("the slowest call took %v", l.slowest)
	}
}

func TestWithOneNodeKilledTheOthersGoOn(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		all := []*machine{}
		n1, n2, n3 := w.three()
		all = append(all, n1, n2, n3)
		for i, victim := range all {
			others := append(append([]*machine{}, all[:i]...), all[i+1:]...)
			l := loadOn(t, others[0].client(), others[1].client(), w.clusterClient(others...))
			time.Sleep(time.Second)
			victim.kill()
			l.countFrom(time.Now().Add(3 * time.Second))
			time.Sleep(10 * time.Second)
			l.end()
			victim.up()
			w.together(15*time.Second, all...)
			for _, c := range clients(all...) {
				for key, value := range l.last {
					want(t, c, value, "GET", key)
				}
			}
		}
	})
}

// frozen: the machine does not answer, and does not refuse either.
func TestWithOneNodeFrozenTheOthersGoOn(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n1, n2, n3 := w.three()
		l := loadOn(t, n1.client(), n3.client())
		time.Sleep(time.Second)
		w.net.Isolate(n2.ip)
		l.countFrom(time.Now().Add(3 * time.Second))
		time.Sleep(20 * time.Second)
		l.end()
		w.net.HealAll()
		w.together(15*time.Second, n1, n2, n3)
	})
}

// loneSurvivor kills two of three nodes and waits three seconds.
func (w *world) loneSurvivor(changes ...change) (alone *redis.Client, others []*machine) {
	w.t.Helper()
	n1, n2, n3 := w.three(changes...)
	for i := range 40 {
		do(w.t, n1.client(), "SET", fmt.Sprint("k", i), "before")
	}
	time.Sleep(2100 * time.Millisecond) // also the third copy has come by now
	n1.kill()
	n2.kill()
	time.Sleep(3 * time.Second)
	return n3.client(), []*machine{n1, n2}
}

// within100ms is how soon an answer must come when too few nodes are left.
func within100ms(t *testing.T, f func()) {
	t.Helper()
	began := time.Now()
	f()
	if took := time.Since(began); took > 100*time.Millisecond {
		t.Errorf("the answer took %v", took)
	}
}

func TestTheLastNodeRefusesWritesAndStillReads(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		alone, others := w.loneSurvivor()
		for i := range 40 {
			key := fmt.Sprint("k", i)
			within100ms(t, func() { wantError(t, alone, "NOREPLICAS ", "SET", key, "after") })
			within100ms(t, func() { wantError(t, alone, "NOREPLICAS ", "DEL", key) })
			within100ms(t, func() { wantError(t, alone, "NOREPLICAS ", "EXPIRE", key, 10) })
			within100ms(t, func() { want(t, alone, "before", "GET", key) })
		}
		within100ms(t, func() { wantError(t, alone, "NOREPLICAS ", "VSET", "k1", "", "after") })
		within100ms(t, func() { wantError(t, alone, "NOREPLICAS ", "MSET", "k1", "after", "k2", "after") })
		within100ms(t, func() { wantError(t, alone, "NOREPLICAS ", "FLUSHALL") })
		within100ms(t, func() { want(t, alone, 40, "DBSIZE") })
		within100ms(t, func() { want(t, alone, "<nil>", "GET", "never written") })
		within100ms(t, func() { versions(t, alone, "k1") })

		for _, m := range others {
			m.up()
		}
		w.together(15*time.Second, w.all...)
		for at, c := range clients(w.all...) {
			want(t, c, "before", "GET", "k0")
			want(t, c, "OK", "SET", fmt.Sprint("k", 1+at), "after")
		}
	})
}

func TestTheLastStrictNodeRefusesReadsToo(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		alone, others := w.loneSurvivor(strict)
		for i := range 40 {
			within100ms(t, func() { wantError(t, alone, "CLUSTERDOWN ", "GET", fmt.Sprint("k", i)) })
			within100ms(t, func() { wantError(t, alone, "NOREPLICAS ", "SET", fmt.Sprint("k", i), "after") })
		}
		within100ms(t, func() { wantError(t, alone, "CLUSTERDOWN ", "MGET", "k1", "k2") })
		for _, m := range others {
			m.up()
		}
		w.together(15*time.Second, w.all...)
		want(t, alone, "before", "GET", "k0")
	})
}

// Written while one node is down, read on it alone with nobody having asked for any of the keys.
func TestANodeThatWasDownCatchesUpByItself(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n1, n2, n3 := w.three()
		c := n1.client()
		do(t, c, "SET", "deleted", "v")
		do(t, c, "SET", "flushed", "v")
		time.Sleep(3 * time.Second)
		n3.kill()
		time.Sleep(3 * time.Second)
		do(t, c, "FLUSHALL")
		do(t, c, "SET", "deleted", "v")
		do(t, c, "DEL", "deleted")
		for i := range 300 {
			do(t, c, "SET", fmt.Sprint("k", i), fmt.Sprint(i))
		}
		n3.up()
		w.eventually(10*time.Second, "n3 holds all keys", func() string {
			if st := n3.status(); st.OwnKeys != 300 {
				return fmt.Sprint(st.OwnKeys, " keys")
			}
			return ""
		})
		n1.kill()
		n2.kill()
		time.Sleep(3 * time.Second)
		alone := n3.client()
		for i := range 300 {
			want(t, alone, fmt.Sprint(i), "GET", fmt.Sprint("k", i))
		}
		want(t, alone, []any{nil, nil}, "MGET", "deleted", "flushed")
	})
}

// How long a cut lasts must not matter: memberlist forgets the dead after half a minute.
func TestACutHealsWithinFifteenSeconds(t *testing.T) {
	for _, length := range []time.Duration{2 * time.Second, 40 * time.Second, 10 * time.Minute} {
		t.Run(length.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				n1, n2, n3 := w.three()
				w.net.Isolate(n1.ip)
				time.Sleep(3 * time.Second)
				if length > 3*time.Second {
					do(t, n2.client(), "SET", "k", "during the cut")
				}
				time.Sleep(length)
				w.net.HealAll()
				w.together(15*time.Second, n1, n2, n3)
				if length > 3*time.Second {
					want(t, n1.client(), "during the cut", "GET", "k")
				}
			})
		})
	}
}

func TestBothSidesOfACutAnswerForWhatTheyHave(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n1, n2, n3 := w.three()
		few, many := n1.client(func(o *redis.Options) { o.Dialer = w.dialer(n1.ip) }), n2.client()
		do(t, many, "SET", "k", "before")
		time.Sleep(3 * time.Second)
		w.net.Isolate(n1.ip)
		time.Sleep(3 * time.Second)
		do(t, many, "SET", "k", "during")
		wantError(t, few, "NOREPLICAS ", "SET", "k", "lost")
		want(t, few, "before", "GET", "k") // sloppy: the copy that is left
		w.net.HealAll()
		w.together(15*time.Second, n1, n2, n3)
		for _, c := range []*redis.Client{few, many, n3.client()} {
			want(t, c, "during", "GET", "k")
			want(t, c, 1, "SIBLINGS", "k")
		}
	})
}

// One direction of one link: the most confusing cut there is.
func TestAOneWayCutIsTakenForAFullOne(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n1, n2, n3 := w.three()
		w.net.Cut(n1.ip, n2.ip)
		time.Sleep(5 * time.Second)
		l := loadOn(t, n1.client(), n2.client(), n3.client())
		l.countFrom(time.Now())
		time.Sleep(10 * time.Second)
		l.end()
		w.net.HealAll()
		w.together(15*time.Second, n1, n2, n3)
	})
}

func TestStatusNamesWhoIsDown(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n1, n2, n3 := w.three()
		id := do(t, n2.client(), "CLUSTER", "MYID").(string)
		n2.kill()
		time.Sleep(3 * time.Second)
		for _, m := range []*machine{n1, n3} {
			if st := m.status(); st.Live != 2 || st.Members != 3 {
				t.Errorf("%s sees %d of %d", m.name, st.Live, st.Members)
			}
			c := m.client()
			if got := infoField(t, c, "ring", "ring_live"); got != "2" {
				t.Errorf("ring_live is %s", got)
			}
			if s := fmt.Sprint(do(t, c, "CLUSTER", "SLOTS")); strings.Contains(s, id) {
				t.Errorf("a dead node is listed as owner: %s", s)
			}
			for line := range strings.Lines(do(t, c, "CLUSTER", "NODES").(string)) {
				if strings.HasPrefix(line, id) && !strings.Contains(line, "fail") {
					t.Errorf("a dead node is shown as alive: %s", line)
				}
			}
		}
	})
}
