package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	faultsAtOnce = 2
	wholeWithin  = 30 * time.Second // for a loss to wait until every node is whole
)

// driver makes faults, of the kinds that it was given, chosen by the seed. What a seed fixes is the order of choices,
// not the moments: these are real processes.
//
// kill, stop, cut and slow lose nothing, and may come at once. wipe and backup lose what one node had: one of them a stretch,
// once every node is whole, so that W-1 of the copies of a write stay.
type driver struct {
	*fleet
	kinds []string
	r     *rand.Rand
	count map[string]int

	mu     sync.Mutex
	busy   map[int]bool // nodes that a fault has
	kept   *keptCopy
	last   time.Time // when the latest fault ended
	errors []error
	wg     sync.WaitGroup
}

var faultKinds = []string{"kill", "stop", "cut", "slow", "wipe", "backup"}

// readKinds checks a list of kinds of faults.
func readKinds(list string) ([]string, error) {
	kinds := strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
	for _, k := range kinds {
		if !slices.Contains(faultKinds, k) {
			return nil, fmt.Errorf("no fault is called %q; there are %s", k, strings.Join(faultKinds, ", "))
		}
	}
	return kinds, nil
}

func newDriver(f *fleet, kinds []string, seed uint64) *driver {
	return &driver{fleet: f, kinds: kinds, r: rand.New(rand.NewPCG(seed, 0x5eed)), count: map[string]int{}, busy: map[int]bool{}}
}

// drive makes faults for a while and returns when the last is over, and since when: all nodes run, all lanes are open.
func (d *driver) drive(ctx context.Context, length time.Duration, turn int) (healed time.Time, err error) {
	end := time.Now().Add(length)
	var gentle, losses []string
	for _, k := range d.kinds {
		if k == "wipe" || k == "backup" {
			losses = append(losses, k)
		} else {
			gentle = append(gentle, k)
		}
	}
	if len(losses) > 0 {
		d.lose(ctx, losses[turn%len(losses)])
	}
	for ctx.Err() == nil && time.Now().Before(end) {
		if len(gentle) > 0 && d.running() < faultsAtOnce {
			d.begin(ctx, gentle[d.r.IntN(len(gentle))])
		}
		sleep(ctx, time.Duration(100+d.r.IntN(1200))*time.Millisecond)
	}
	d.wg.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.errors) > 0 {
		return d.last, d.errors[0]
	}
	return d.last, ctx.Err()
}

func (d *driver) running() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.busy)
}

// take reserves a node that no fault has; false when there is none.
func (d *driver) take() (i int, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.busy) == len(d.nodes) {
		return 0, false
	}
	for i = d.r.IntN(len(d.nodes)); d.busy[i]; {
		i = (i + 1) % len(d.nodes)
	}
	d.busy[i] = true
	return i, true
}

func (d *driver) give(i int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.busy, i)
	d.last = time.Now()
}

func (d *driver) failed(err error) {
	if err != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.errors = append(d.errors, err)
	}
}

// begin starts one fault that loses nothing and ends by itself.
func (d *driver) begin(ctx context.Context, kind string) {
	i, ok := d.take()
	if !ok {
		return
	}
	length := time.Duration(300+d.r.IntN(4000)) * time.Millisecond
	d.count[kind]++
	switch kind {
	case "kill":
		d.say("kill -9 of %s for %v", d.nodes[i].name, length)
		d.wg.Go(func() {
			defer d.give(i)
			d.kill(i)
			sleep(ctx, length)
			d.failed(d.start(i))
		})
	case "stop":
		d.say("SIGSTOP of %s for %v", d.nodes[i].name, length)
		d.wg.Go(func() {
			defer d.give(i)
			d.stop(i)
			sleep(ctx, length)
			d.cont(i)
		})
	case "slow":
		delay := time.Duration(10+d.r.IntN(400)) * time.Millisecond
		d.say("what %s sends takes %v for %v", d.nodes[i].name, delay, length)
		d.wg.Go(func() {
			defer d.give(i)
			d.slowDown(i, delay)
			sleep(ctx, length)
			d.slowDown(i, 0)
		})
	case "cut":
		lanes, what := d.chooseCut(i)
		d.say("cut %s for %v", what, length)
		d.wg.Go(func() {
			defer d.give(i)
			for _, l := range lanes {
				d.net.cut(l[0], l[1])
			}
			sleep(ctx, length)
			for _, l := range lanes {
				d.net.mend(l[0], l[1])
			}
		})
	}
}

// slowDown delays all that a node sends.
func (d *driver) slowDown(i int, delay time.Duration) {
	for _, l := range d.net.lanes[i] {
		l.slow(delay)
	}
}

// chooseCut chooses lanes around a node: one direction of a pair, both, one direction of all, or a side.
func (d *driver) chooseCut(i int) (lanes [][2]int, what string) {
	others := d.r.Perm(len(d.nodes))
	others = slices.DeleteFunc(others, func(j int) bool { return j == i })
	name := func(j int) string { return d.nodes[j].name }
	both := func(a, b int) { lanes = append(lanes, [2]int{a, b}, [2]int{b, a}) }
	switch d.r.IntN(5) {
	case 0:
		return [][2]int{{i, others[0]}}, "from " + name(i) + " to " + name(others[0])
	case 1:
		both(i, others[0])
		return lanes, "between " + name(i) + " and " + name(others[0])
	case 2:
		for _, j := range others {
			lanes = append(lanes, [2]int{i, j})
		}
		return lanes, "from " + name(i) + " to all"
	case 3:
		for _, j := range others {
			lanes = append(lanes, [2]int{j, i})
		}
		return lanes, "from all to " + name(i)
	}
	side := others[:(len(d.nodes)-2)/2] // with i the smaller side: 1 of 3, 2 of 5
	what = name(i)
	for _, j := range side {
		what += " and " + name(j)
	}
	for _, j := range others[len(side):] {
		both(i, j)
		for _, k := range side {
			both(k, j)
		}
	}
	return lanes, what + " from the rest"
}

// lose begins the loss of a stretch.
func (d *driver) lose(ctx context.Context, kind string) {
	if kind == "backup" && d.kept != nil {
		d.restoreOld(ctx)
		return
	}
	i, ok := d.take()
	if !ok {
		return
	}
	early := time.Duration(1000+d.r.IntN(3000)) * time.Millisecond
	keep := d.r.IntN(2) == 0
	d.wg.Go(func() {
		defer d.give(i)
		if kind == "wipe" {
			sleep(ctx, early)
			d.failed(d.wipeOne(ctx, i))
			return
		}
		d.failed(d.copyOne(i))
		if keep {
			d.mu.Lock()
			d.kept = &keptCopy{i, time.Now()}
			d.mu.Unlock()
			return
		}
		sleep(ctx, early)
		d.failed(d.restoreOne(ctx, i, early))
	})
}

// keptCopy is of a node's folder, for a later stretch.
type keptCopy struct {
	node int
	made time.Time
}

// restoreOld puts a copy of an earlier stretch back: by now what was deleted then may have been forgotten.
func (d *driver) restoreOld(ctx context.Context) {
	d.mu.Lock()
	kept := d.kept
	d.kept = nil
	d.busy[kept.node] = true // it is early in the stretch: no other fault has it
	d.mu.Unlock()
	d.wg.Go(func() {
		defer d.give(kept.node)
		d.failed(d.restoreOne(ctx, kept.node, time.Since(kept.made)))
	})
}

// wipeOne takes a node's disk away and starts it with an empty folder.
func (d *driver) wipeOne(ctx context.Context, i int) error {
	if !d.whole(ctx) {
		return nil
	}
	d.kill(i)
	if err := d.wipe(i); err != nil {
		return err
	}
	d.mu.Lock()
	if d.kept != nil && d.kept.node == i {
		d.kept = nil // of an identity that is being replaced
	}
	d.mu.Unlock()
	d.counted("wipe", "the folder of %s is removed", d.nodes[i].name)
	sleep(ctx, 500*time.Millisecond)
	return d.start(i)
}

// copyOne copies a node's folder while it is down.
func (d *driver) copyOne(i int) error {
	d.kill(i)
	if err := d.copyFolder(i); err != nil {
		return err
	}
	d.say("the folder of %s is copied", d.nodes[i].name)
	return d.start(i)
}

// restoreOne puts the copy of a node's folder back.
func (d *driver) restoreOne(ctx context.Context, i int, age time.Duration) error {
	if !d.whole(ctx) {
		return nil
	}
	d.kill(i)
	if err := d.putBack(i); err != nil {
		return err
	}
	d.counted("backup", "the folder of %s is put back as it was %.1f s ago", d.nodes[i].name, age.Seconds())
	return d.start(i)
}

func (d *driver) counted(kind, format string, args ...any) {
	d.mu.Lock()
	d.count[kind]++
	d.mu.Unlock()
	d.say(format, args...)
}

// whole waits until every node is, under load and other faults; false when that does not come.
func (d *driver) whole(ctx context.Context) bool {
	for end := time.Now().Add(wholeWithin); ctx.Err() == nil && time.Now().Before(end); sleep(ctx, lookEvery) {
		if d.state(ctx) == "" {
			return true
		}
	}
	return false
}

// sleep waits, or less when the time is up.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
