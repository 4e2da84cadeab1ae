package cluster

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// A clock that is wrong, or set while the node runs, must cost nobody anything: causality never goes by it, whatever waits
// goes by the time that has passed, and what goes by the clock (expiry) is left to the other nodes. So no command fails,
// not even in the moment when the coordinator changes: nobody's connection goes, and an owner that is passed over hands
// over what it is still asked.

const (
	wrong      = 10 * time.Minute
	skewBound  = 500 * time.Millisecond
	ttlMargin  = skewBound + time.Second
	shortLived = 4 * time.Second
)

// offClock waits until the nodes have judged the clocks: this machine's is off, or none is when it is nil.
func (w *world) offClock(off *machine) {
	w.t.Helper()
	w.eventually(1200*time.Millisecond, "the nodes know whose clock is off", func() string {
		for _, m := range w.all {
			if got := m.status().ClockOff; got != (m == off) {
				return fmt.Sprintf("%s says ClockOff %v", m.name, got)
			}
		}
		return ""
	})
}

// jump is one of the settings of a clock in a test.
type jump struct {
	name  string
	ahead time.Duration
}

var jumps = []jump{{"ahead", wrong}, {"behind", -wrong}}

func eachJump(t *testing.T, test func(t *testing.T, w *world, ahead time.Duration)) {
	for _, j := range jumps {
		t.Run(j.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) { test(t, w, j.ahead) })
		})
	}
}

// agree checks that every node answers what was acknowledged last, in one version.
func (l *load) agree(nodes []*redis.Client) {
	l.t.Helper()
	for _, c := range nodes {
		for key, value := range l.last {
			want(l.t, c, value, "GET", key)
			want(l.t, c, 1, "SIBLINGS", key)
		}
	}
}

func TestANodeSaysThatItsClockIsOff(t *testing.T) {
	eachJump(t, func(t *testing.T, w *world, ahead time.Duration) {
		n1, n2, _ := w.three()
		w.offClock(nil)
		for _, m := range []*machine{n1, n2} {
			m.setClock(ahead)
			w.offClock(m)
			if got := infoField(t, m.client(), "ring", "ring_clock_off"); got != "1" {
				t.Errorf("ring_clock_off is %q", got)
			}
			if got := infoField(t, w.all[2].client(), "ring", "ring_clock_off"); got != "0" {
				t.Errorf("ring_clock_off is %q on a node whose clock is right", got)
			}
			for _, p := range w.all[2].status().Peers {
				if off := time.Duration(p.ClockOffsetMs) * time.Millisecond; p.Name == m.name && (off-ahead).Abs() > skewBound {
					t.Errorf("another node takes its clock for %v ahead", off)
				}
			}
			m.setClock(0)
			w.offClock(nil)
			for _, line := range []string{m.name + " level=ERROR msg=\"this machine's clock is more than", m.name + " level=INFO msg=\"this machine's clock agrees"} {
				if !strings.Contains(w.logs.String(), line) {
					t.Errorf("not logged: %s", line)
				}
			}
		}
	})
}

// The clock is wrong when the node starts: there is nothing that has jumped.
func TestANodeStartsWithAWrongClock(t *testing.T) {
	eachJump(t, func(t *testing.T, w *world, ahead time.Duration) {
		n1, n2, n3 := w.three()
		do(t, n1.client(), "SET", "k", "v", "EX", "60")
		n1.kill()
		n1.setClock(ahead)
		n1.up()
		w.together(15*time.Second, n1, n2, n3)
		w.offClock(n1)
		nodes := clients(n1, n2, n3)
		everywhere(t, nodes, "v", "GET", "k")
		time.Sleep(5 * time.Second) // nothing is reaped
		everywhere(t, nodes, "v", "GET", "k")
		lives(t, nodes, 0)
		n1.setClock(0)
		w.offClock(nil)
		everywhere(t, nodes, "v", "GET", "k")
	})
}

func TestUnderLoadAClockJumpsAndNothingFails(t *testing.T) {
	for _, how := range [][]time.Duration{{wrong, 0}, {-wrong, 0}, {wrong, -wrong, 0, -wrong, wrong, 0}, {450 * time.Millisecond, -450 * time.Millisecond, 0}} {
		t.Run(fmt.Sprint(how), func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				n1, n2, n3 := w.three()
				nodes := clients(n1, n2, n3)
				for i := range 20 {
					do(t, nodes[i%3], "SET", fmt.Sprint("gone", i), "v")
					want(t, nodes[(i+1)%3], 1, "DEL", fmt.Sprint("gone", i))
				}
				time.Sleep(2 * time.Second)
				l := loadOn(t, nodes[0], nodes[1], nodes[2], w.clusterClient(n1, n2, n3))
				l.countFrom(time.Now())
				for _, ahead := range how {
					n2.setClock(ahead)
					time.Sleep(3 * time.Second)
				}
				time.Sleep(5 * time.Second)
				l.end()
				w.offClock(nil)
				l.agree(nodes)
				for i := range 20 {
					everywhere(t, nodes, "<nil>", "GET", fmt.Sprint("gone", i))
				}
			})
		})
	}
}

// Repair goes on: what a node missed while it was away comes, whatever its clock has shown meanwhile.
func TestRepairGoesOnAfterAClockHasJumped(t *testing.T) {
	for _, how := range [][]time.Duration{{wrong}, {-wrong}, {wrong, 0}, {-wrong, 0}} {
		t.Run(fmt.Sprint(how), func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				n1, n2, n3 := w.three()
				for _, ahead := range how {
					n3.setClock(ahead)
					time.Sleep(5 * time.Second)
				}
				w.net.Isolate(n3.ip)
				time.Sleep(3 * time.Second)
				for i := range 100 {
					do(t, n1.client(), "SET", fmt.Sprint("k", i), "v")
				}
				do(t, n1.client(), "DEL", "k0")
				w.net.HealAll()
				w.together(15*time.Second, n1, n2, n3)
				w.eventually(10*time.Second, "n3 holds what it missed, and the tombstone is gone", func() string {
					for _, m := range w.all {
						if st := m.status(); st.OwnKeys != 99 || st.Tombstones != 0 {
							return fmt.Sprintf("%s has %d keys and %d tombstones", m.name, st.OwnKeys, st.Tombstones)
						}
					}
					return ""
				})
			})
		})
	}
}

// ways to give a key an end, each through one client. at is by the right clock.
var ways = []func(t *testing.T, c *redis.Client, key string, at time.Time){
	func(t *testing.T, c *redis.Client, key string, at time.Time) {
		do(t, c, "SET", key, "v", "PX", time.Until(at).Milliseconds())
	},
	func(t *testing.T, c *redis.Client, key string, at time.Time) {
		do(t, c, "SET", key, "v", "EX", int(time.Until(at).Seconds()))
	},
	func(t *testing.T, c *redis.Client, key string, at time.Time) {
		do(t, c, "SET", key, "v", "PXAT", at.UnixMilli())
	},
	func(t *testing.T, c *redis.Client, key string, at time.Time) {
		do(t, c, "SET", key, "v")
		want(t, c, 1, "EXPIREAT", key, at.Unix())
	},
	func(t *testing.T, c *redis.Client, key string, at time.Time) {
		do(t, c, "SET", key, "v")
		want(t, c, 1, "PEXPIRE", key, time.Until(at).Milliseconds())
	},
}

// lives gives keys an end through each node and watches them from every node, with a clock of which somebody thinks that
// it is right: alive until their time, PTTL right, gone after it.
func lives(t *testing.T, nodes []*redis.Client, from int) {
	t.Helper()
	end := map[string]time.Time{}
	for at, c := range nodes {
		for i, way := range ways {
			for k := range 6 { // of several partitions: each node is the first owner of some
				key := fmt.Sprint("ends", from, "-", at, i, k)
				way(t, c, key, time.Now().Add(shortLived))
				end[key] = time.Now().Add(shortLived)
			}
		}
	}
	for began := time.Now(); time.Since(began) < shortLived+ttlMargin+100*time.Millisecond; time.Sleep(250 * time.Millisecond) {
		for key, end := range end {
			for i, c := range nodes {
				left := time.Until(end)
				ms := do(t, c, "PTTL", key).(int64)
				ttl := time.Duration(ms) * time.Millisecond
				switch {
				case left > ttlMargin && (ms < 0 || (ttl-left).Abs() > ttlMargin):
					t.Fatalf("node %d: %s has %v left, PTTL says %d", i, key, left, ms)
				case left < -ttlMargin && ms != -2:
					t.Fatalf("node %d: %s ended %v ago, PTTL says %d", i, key, -left, ms)
				}
				got := do(t, c, "GET", key)
				if left := time.Until(end); left > ttlMargin && got != "v" || left < -ttlMargin && got != nil {
					t.Fatalf("node %d: %s has %v left, GET says %v", i, key, left, got)
				}
			}
		}
	}
}

func TestKeysEndInTimeWhileAClockIsOff(t *testing.T) {
	eachJump(t, func(t *testing.T, w *world, ahead time.Duration) {
		n1, n2, n3 := w.three()
		nodes := clients(n1, n2, n3)
		for round, set := range []time.Duration{ahead, 0} {
			n1.setClock(set) // at once: not even the first second after a jump is by a wrong clock
			lives(t, nodes, round)
		}
		for _, m := range w.all {
			w.eventually(10*time.Second, "what has expired is reaped", func() string {
				if st := m.status(); st.Rows != 0 {
					return fmt.Sprint(st.Rows, " rows")
				}
				return ""
			})
		}
	})
}

// A value must not be reaped by a clock that is ahead, nor outlive its end by one that is behind.
func TestKeysWithAnEndSurviveJumps(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n1, n2, n3 := w.three()
		nodes := clients(n1, n2, n3)
		began := time.Now()
		for i := range 30 {
			do(t, nodes[i%3], "SET", fmt.Sprint("k", i), "v", "EX", "60")
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := 0; time.Since(began) < 55*time.Second; i++ {
				n2.setClock([]time.Duration{wrong, -wrong, 0}[i%3])
				time.Sleep(3100 * time.Millisecond)
			}
			n2.setClock(0)
		})
		for time.Since(began) < 55*time.Second {
			for i := range 30 {
				everywhere(t, nodes, "v", "GET", fmt.Sprint("k", i))
			}
			time.Sleep(500 * time.Millisecond)
		}
		wg.Wait()
		time.Sleep(60*time.Second + ttlMargin - time.Since(began))
		for i := range 30 {
			everywhere(t, nodes, "<nil>", "GET", fmt.Sprint("k", i))
		}
	})
}

// A node that is alone has nobody who agrees with its clock. What it took for expired it must not have forgotten: the
// others would be told that it was deleted.
func TestANodeThatIsAloneReapsNothingByItsClock(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n1, n2, n3 := w.three()
		nodes := clients(n1, n2, n3)
		for i := range 30 {
			do(t, nodes[i%3], "SET", fmt.Sprint("k", i), "v", "EX", "300")
		}
		time.Sleep(20 * time.Second) // durable everywhere, and every node knows
		w.net.Isolate(n2.ip)
		time.Sleep(3 * time.Second)
		n2.setClock(wrong)
		time.Sleep(60 * time.Second)
		if st := n2.status(); st.Rows != 30 {
			t.Errorf("%d rows are left of 30", st.Rows)
		}
		w.net.HealAll()
		w.together(15*time.Second, n1, n2, n3)
		w.offClock(n2)
		for i := range 30 {
			everywhere(t, nodes, "v", "GET", fmt.Sprint("k", i))
		}
		n2.setClock(0)
		w.offClock(nil)
		for i := range 30 {
			everywhere(t, nodes, "v", "GET", fmt.Sprint("k", i))
		}
	})
}
