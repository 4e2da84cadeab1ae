package main

import (
	"math"
	"testing"
	"time"
)

// TestOutcomes is the whole question that the registers ask: after these changes, may the key read so?
func TestOutcomes(t *testing.T) {
	const now = int64(1_000_000_000)
	at := func(seconds float64) span {
		ms := now + int64(seconds*1000)
		return span{ms, ms}
	}
	set := func(v string, o outcome, expiry ...span) change {
		c := change{verb: verbSet, value: v, outcome: o}
		if len(expiry) > 0 {
			c.expiry = expiry[0]
		}
		return c
	}
	del := func(o outcome) change { return change{verb: verbDel, outcome: o} }
	expire := func(e span, o outcome) change { return change{verb: verbExpire, expiry: e, outcome: o} }
	persist := func(o outcome) change { return change{verb: verbPersist, outcome: o} }
	const ack, may, no = acknowledged, unknown, refused
	reads := func(v string, seconds float64) observation {
		return observation{value: v, expiry: now + int64(seconds*1000), at: now}
	}
	plain := func(v string) observation { return observation{value: v, at: now} }
	nothing := plain("")

	for name, c := range map[string]struct {
		base    state
		changes []change
		loose   bool
		allowed []observation
		wrong   []observation
	}{
		"nothing happened": {base: state{value: "x"}, allowed: []observation{plain("x")}, wrong: []observation{nothing, plain("y"), reads("x", 9)}},
		"set":              {changes: []change{set("v", ack)}, allowed: []observation{plain("v")}, wrong: []observation{nothing, plain("w")}},
		"set over the old": {base: state{value: "x"}, changes: []change{set("v", ack)}, allowed: []observation{plain("v")}, wrong: []observation{plain("x"), nothing}},
		"refused":          {base: state{value: "x"}, changes: []change{set("v", no), del(no)}, allowed: []observation{plain("x")}, wrong: []observation{plain("v"), nothing}},
		"deleted":          {base: state{value: "x"}, changes: []change{set("v", ack), del(ack)}, allowed: []observation{nothing}, wrong: []observation{plain("v"), plain("x")}},
		"unknown after":    {changes: []change{set("v", ack), set("w", may)}, allowed: []observation{plain("v"), plain("w")}, wrong: []observation{nothing}},
		"unknown before":   {changes: []change{set("w", may), set("v", ack)}, allowed: []observation{plain("v"), plain("w")}, wrong: []observation{nothing}},
		"unknown, then deleted": {changes: []change{set("v", ack), set("w", may), del(ack)},
			allowed: []observation{nothing, plain("w")}, wrong: []observation{plain("v")}},
		"perhaps deleted": {changes: []change{set("v", ack), del(may)}, allowed: []observation{plain("v"), nothing}, wrong: []observation{plain("w")}},
		"expiry": {changes: []change{set("v", ack, at(9))},
			allowed: []observation{reads("v", 9), reads("v", 10.4), reads("v", 7.6)}, wrong: []observation{plain("v"), reads("v", 11), nothing}},
		"expired": {changes: []change{set("v", ack, at(-9))}, allowed: []observation{nothing}, wrong: []observation{reads("v", -9), plain("v")}},
		"just expiring": {changes: []change{set("v", ack, at(0.5))},
			allowed: []observation{nothing, reads("v", 0.5)}, wrong: []observation{plain("v")}},
		"expire":       {changes: []change{set("v", ack), expire(at(9), ack)}, allowed: []observation{reads("v", 9)}, wrong: []observation{plain("v"), nothing}},
		"perhaps more": {changes: []change{set("v", ack), expire(at(9), may)}, allowed: []observation{reads("v", 9), plain("v")}, wrong: []observation{reads("v", 20)}},
		"counted from much later": {changes: []change{set("v", ack), expire(span{now + 9000, math.MaxInt64}, may)},
			allowed: []observation{plain("v"), reads("v", 9), reads("v", 60)}, wrong: []observation{reads("v", 2), nothing}},
		"persist":          {changes: []change{set("v", ack, at(9)), persist(ack)}, allowed: []observation{plain("v")}, wrong: []observation{reads("v", 9), nothing}},
		"persist of none":  {changes: []change{del(ack), persist(ack)}, allowed: []observation{nothing}, wrong: []observation{plain("v")}},
		"without effect":   {changes: []change{set("v", ack), {verb: verbExpire, expiry: at(9), outcome: ack, without: true}}, allowed: []observation{plain("v")}, wrong: []observation{reads("v", 9)}},
		"deleted nothing":  {changes: []change{set("v", ack), {verb: verbDel, outcome: ack, without: true}}, allowed: []observation{plain("v"), nothing}},
		"sibling's expiry": {changes: []change{set("w", may), set("v", ack), expire(at(9), ack)}, allowed: []observation{reads("v", 9), reads("w", 9), plain("w")}, wrong: []observation{plain("v"), nothing}},
		"sloppy":           {base: state{value: "x"}, changes: []change{set("v", ack), set("w", ack)}, loose: true, allowed: []observation{plain("v"), plain("w")}, wrong: []observation{plain("x"), nothing}},
	} {
		o := history{c.base, c.changes}.outcomes(c.loose)
		for _, seen := range c.allowed {
			if !o.allows(seen) {
				t.Errorf("%s: %v is not allowed", name, seen)
			}
		}
		for _, seen := range c.wrong {
			if o.allows(seen) {
				t.Errorf("%s: %v is allowed", name, seen)
			}
		}
	}
}

func TestUnseen(t *testing.T) {
	ack := change{verb: verbSet, value: "v", outcome: acknowledged}
	may := change{verb: verbSet, value: "w", outcome: unknown}
	brief := change{verb: verbSet, value: "v", expiry: span{1, 1}, outcome: acknowledged}
	del := change{verb: verbDel, outcome: acknowledged}
	nothing := change{verb: verbDel, outcome: acknowledged, without: true}
	untouched := change{verb: verbPersist, outcome: acknowledged, without: true}
	for _, c := range []struct {
		changes []change
		want    int
	}{
		{[]change{nothing}, 0},
		{[]change{ack, nothing}, 1},
		{[]change{ack, untouched}, 0},
		{[]change{ack, del, nothing}, 0},
		{[]change{may, nothing}, 0},
		{[]change{ack, may, nothing}, 0},
		{[]change{brief, nothing}, 0},
	} {
		if got := (history{changes: c.changes}).unseen(); len(got) != c.want {
			t.Errorf("%v: %v, want %d", c.changes, got, c.want)
		}
	}
}

func TestSame(t *testing.T) {
	now := int64(1_000_000_000)
	for _, c := range []struct {
		a, b observation
		want bool
	}{
		{observation{at: now}, observation{at: now}, true},
		{observation{value: "v", at: now}, observation{value: "v", at: now + 50}, true},
		{observation{value: "v", at: now}, observation{value: "w", at: now}, false},
		{observation{value: "v", at: now}, observation{at: now}, false},
		{observation{value: "v", expiry: now + 9000, at: now}, observation{value: "v", expiry: now + 9100, at: now}, true},
		{observation{value: "v", expiry: now + 9000, at: now}, observation{value: "v", expiry: now + 19000, at: now}, false},
		{observation{value: "v", expiry: now + 9000, at: now}, observation{value: "v", at: now}, false},
		{observation{value: "v", expiry: now + 100, at: now}, observation{at: now + 200}, true}, // it expired in between
		{observation{value: "v", expiry: now + 9000, at: now}, observation{at: now + 200}, false},
	} {
		if same(c.a, c.b) != c.want || same(c.b, c.a) != c.want {
			t.Errorf("%v and %v: want %v", c.a, c.b, c.want)
		}
	}
}

// TestRegistersSettle: what every node answered is all that may be read from then on.
func TestRegistersSettle(t *testing.T) {
	g := newRegisters(1, func() bool { return false })
	reg := g.keys[0][0]
	reg.history.changes = []change{{verb: verbSet, value: "v", outcome: acknowledged}, {verb: verbSet, value: "w", outcome: unknown}}
	at := time.Now().UnixMilli()
	reg.seen = []observation{{value: "w", expiry: at + 9000, at: at}}
	g.settle()
	o := reg.history.outcomes(false)
	if !o.allows(observation{value: "w", expiry: at + 9000, at: at}) || o.allows(observation{value: "v", at: at}) || o.allows(observation{at: at}) {
		t.Errorf("after it read w: %+v", o)
	}
}
