package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"shoal/ring"
)

// Limits of the cut.
const (
	seenWithin   = 15 * time.Second // after it heals, for every node to see every other
	nearlyAfter  = 10 * time.Second // after that: nearly all keys are equal
	nearlyShare  = 0.999
	healedWithin = 60 * time.Second
)

// cutInTwo cuts two nodes of five off from the other three, writes on both sides, partly the same keys, and heals. Every
// acknowledged write must be there afterwards, beside the other side's.
func cutInTwo(ctx context.Context, h *house) error {
	f, s, err := h.filled(ctx, 5, h.some(100_000))
	if err != nil {
		return err
	}
	defer f.close() //nolint:errcheck // it returns none that matters here
	owners, err := f.owners(ctx)
	if err != nil {
		return err
	}
	sides := [][]int{{0, 1}, {2, 3, 4}}
	for _, a := range sides[0] {
		for _, b := range sides[1] {
			f.net.cut(a, b)
			f.net.cut(b, a)
		}
	}
	begun := time.Now()
	sleep(ctx, noticeAfter)
	c := &cutWrites{shelf: s, owners: owners, outcomes: map[int][2]outcome{}}
	tenth := len(s.tried) / 10
	for side, nodes := range sides { // keys 0 to 10 % on one, 5 to 15 % on the other
		if err := c.write(ctx, f, side, nodes, side*tenth/2, tenth); err != nil {
			return err
		}
	}
	c.judgeAcknowledgements(ctx, f, sides)
	sleep(ctx, time.Until(begun.Add(h.away)))
	for _, a := range sides[0] {
		for _, b := range sides[1] {
			f.net.mend(a, b)
			f.net.mend(b, a)
		}
	}
	healed := time.Now()
	if _, err := f.until(ctx, healedWithin, func() string { return f.strangers(ctx) }); err != nil {
		return err
	}
	h.measured("every node sees every other after the cut heals", time.Since(healed).Seconds(), seenWithin.Seconds(), "s")
	sleep(ctx, nearlyAfter)
	differ, err := f.difference(ctx)
	if err != nil {
		return err
	}
	share := c.unequalShare(differ)
	h.measured("keys that may differ 10 s later (all that were written in partitions that differ)", share*100, (1-nearlyShare)*100, "%")
	if _, err := f.equal(ctx, 2*healedWithin); err != nil {
		return err
	}
	h.measured("whole and equal after the cut heals", time.Since(healed).Seconds(), healedWithin.Seconds(), "s")
	for _, n := range f.nodes {
		c.check(ctx, f, n)
	}
	f.settled(ctx)
	f.alarms(ctx)
	return ctx.Err()
}

// strangers says who does not see all others, "" when everybody does.
func (f *fleet) strangers(ctx context.Context) string {
	for _, n := range f.nodes {
		if live := n.info(ctx, "ring")["ring_live"]; live != int64(len(f.nodes)) {
			return fmt.Sprintf("%s sees %d members", n.name, live)
		}
	}
	return ""
}

// cutWrites are the writes of the two sides: version 2 is the first side's, 3 the second's.
type cutWrites struct {
	*shelf
	owners   [][]int            // by partition
	outcomes map[int][2]outcome // of the keys that either wrote; refused where one did not
}

func (c *cutWrites) partition(i int) int64 {
	return int64(ring.SlotOf([]byte(c.key(i)))) / (ring.Slots / int64(len(c.owners)))
}

func (c *cutWrites) write(ctx context.Context, f *fleet, side int, nodes []int, from, count int) error {
	var total score
	turn := 0
	for batch := range slices.Chunk(upTo(count), 50) {
		p := f.hasty[nodes[turn%len(nodes)]].Pipeline()
		turn++
		for _, k := range batch {
			p.Set(ctx, c.key(from+k), c.value(from+k, int32(2+side)), 0)
		}
		answers, _ := p.Exec(ctx) // each has its own error
		for k, a := range answers {
			o, i := outcomeOf(a.Err()), from+batch[k]
			if _, known := c.outcomes[i]; !known {
				c.outcomes[i] = [2]outcome{refused, refused}
			}
			both := c.outcomes[i]
			both[side] = o
			c.outcomes[i] = both
			total[o]++
		}
	}
	f.say("cut, %d nodes on this side: %d SETs, %d acknowledged, %d refused, %d unknown", len(nodes), total.total(), total[acknowledged], total[refused], total[unknown])
	return ctx.Err()
}

// judgeAcknowledgements wants each side to take the writes of every key that it has an owner of, if these nodes have
// sloppy quorums.
func (c *cutWrites) judgeAcknowledgements(ctx context.Context, f *fleet, sides [][]int) {
	if !f.has(ctx, "sloppy_writes") {
		f.say("INFO has no sloppy_writes: which side takes writes is not looked at")
		return
	}
	for side, nodes := range sides {
		var bad findings
		tenth := len(c.tried) / 10
		for i := side * tenth / 2; i < side*tenth/2+tenth; i++ {
			if o := c.outcomes[i][side]; slices.ContainsFunc(c.owners[c.partition(i)], func(n int) bool { return slices.Contains(nodes, n) }) && o == refused {
				bad.add("%s, of which this side has an owner, was refused", c.key(i))
			}
		}
		for _, what := range bad.list() {
			f.fault("side %d: %s", side+1, what)
		}
	}
}

// unequalShare is the largest share of all keys that can differ while these partitions do: only written ones can.
func (c *cutWrites) unequalShare(partitions []int64) float64 {
	n := 0
	for i := range c.outcomes {
		if slices.Contains(partitions, c.partition(i)) {
			n++
		}
	}
	return float64(n) / float64(len(c.tried))
}

// check reads all siblings of every key that was written, through one node.
func (c *cutWrites) check(ctx context.Context, f *fleet, n *node) {
	var bad findings
	var keys []int
	for i := range c.outcomes {
		keys = append(keys, i)
	}
	slices.Sort(keys)
	pipelined(ctx, n.client, len(keys), func(p redis.Pipeliner, k int) { p.Do(ctx, "VGET", c.key(keys[k])) }, func(k int, answer redis.Cmder) {
		i := keys[k]
		raw, err := answer.(*redis.Cmd).Result()
		var siblings []string
		if err == nil {
			_, siblings, err = readVGET(raw)
		}
		if err != nil {
			bad.add("%s: %v", c.key(i), err)
			return
		}
		values := [3]string{c.value(i, 1), c.value(i, 2), c.value(i, 3)}
		if what := wrongSiblings(values, c.outcomes[i], siblings); what != "" {
			bad.add("%s %s", c.key(i), what)
		}
	})
	for _, what := range bad.list() {
		f.fault("after the cut, through %s: %s", n.name, what)
	}
	if bad.count == 0 {
		f.say("pass: after the cut, through %s: all %d keys that were written have what was acknowledged", n.name, len(keys))
	}
}

// wrongSiblings says what is wrong with a key that had the first of the values, and was set to the second on one side
// of a cut and to the third on the other, with these outcomes.
func wrongSiblings(values [3]string, outcomes [2]outcome, siblings []string) string {
	var wrong []string
	written := false
	for side, o := range outcomes {
		has := slices.Contains(siblings, values[1+side])
		switch {
		case o == acknowledged && !has:
			wrong = append(wrong, fmt.Sprintf("has lost what side %d acknowledged", side+1))
		case o == refused && has:
			wrong = append(wrong, fmt.Sprintf("has what side %d refused", side+1))
		}
		written = written || o == acknowledged
	}
	if slices.Contains(siblings, values[0]) && written {
		wrong = append(wrong, "still has what was replaced")
	}
	for _, s := range siblings {
		if !slices.Contains(values[:], s) {
			wrong = append(wrong, fmt.Sprintf("has %.40q, which nobody set", s))
		}
	}
	if len(siblings) == 0 {
		wrong = append(wrong, "is lost")
	}
	return strings.Join(wrong, " and ")
}
