package main

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// ttlSlack is how far an expiry may be from where it should be, and from when on a key must have gone.
const ttlSlack = 1500 * time.Millisecond

// span is when a key expires: between the two moments, in Unix milliseconds. The zero span is never.
type span struct{ from, to int64 }

func (s span) never() bool { return s == span{} }

// holds reports whether the expiry (0: none) is this one, but for the slack.
func (s span) holds(expiry int64) bool {
	if s.never() || expiry == 0 {
		return s.never() && expiry == 0
	}
	slack := ttlSlack.Milliseconds()
	return expiry >= s.from-slack && (s.to > math.MaxInt64-slack || expiry <= s.to+slack)
}

// mayHaveGone and mayStillBe say what is to be expected of a key that expires so.
func (s span) mayHaveGone(now int64) bool { return !s.never() && now >= s.from-ttlSlack.Milliseconds() }
func (s span) mayStillBe(now int64) bool {
	return s.never() || s.to > math.MaxInt64-ttlSlack.Milliseconds() || now <= s.to+ttlSlack.Milliseconds()
}

// state is what a key may be.
type state struct {
	value  string // "": there is no such key
	expiry span
}

var absent = state{}

// change is one write to a key that has one writer.
type change struct {
	verb    verb
	value   string // of SET
	expiry  span   // of SET and EXPIRE
	outcome outcome
	without bool // acknowledged, saying that there was no such key: it changed nothing
}

type verb byte

const (
	verbSet verb = iota
	verbDel
	verbExpire
	verbPersist
)

func (c change) String() string {
	s := [...]string{"SET " + c.value, "DEL", "EXPIRE", "PERSIST"}[c.verb]
	if !c.expiry.never() {
		s += fmt.Sprintf(" until %d", c.expiry.from)
	}
	if c.without {
		return s + " (no such key)"
	}
	return s + " (" + c.outcome.String() + ")"
}

// history is a key's state that every node agreed on and what its writer did since.
type history struct {
	base    state
	changes []change
}

// outcomes is what a key may be after its history.
//
// now is the state that the acknowledged changes lead to. A change without answer may be applied at any moment, also
// after later ones: a stopped process reads it when it goes on. And it may be kept as a sibling of what came after it.
// So its value stays possible, and an expiry that it sets may hit any value. loose makes the same of acknowledged
// changes: a sloppy quorum may have taken them where the next one did not look.
type outcomes struct {
	now      state
	values   []state // that may show instead
	expiries []span  // that any of them may have
}

func (h history) outcomes(loose bool) outcomes {
	o := outcomes{now: h.base}
	for _, c := range h.changes {
		o.add(c, loose)
	}
	return o
}

func (o *outcomes) add(c change, loose bool) {
	if c.outcome == refused {
		return
	}
	if c.outcome == acknowledged && !c.without {
		o.acknowledge(c)
	}
	// Who was told that there is no such key read a copy that lacked it. A tombstone may have been written for it all
	// the same.
	if c.outcome == unknown || loose || c.without && c.verb == verbDel {
		o.lurk(c)
	}
}

// unseen lists the changes that were told that there is no such key when there must have been one for certain: they
// were acknowledged by owners that had not seen what others had acknowledged before.
func (h history) unseen() (wrong []change) {
	o := outcomes{now: h.base}
	for _, c := range h.changes {
		certain := o.now != absent && o.now.expiry.never() && len(o.values) == 0 && len(o.expiries) == 0
		if certain && c.without && c.verb != verbPersist { // which also says so of a key without expiry
			wrong = append(wrong, c)
		}
		o.add(c, false)
	}
	return wrong
}

// acknowledge applies a change that counts.
func (o *outcomes) acknowledge(c change) {
	switch c.verb {
	case verbSet:
		o.now = state{c.value, c.expiry}
	case verbDel:
		o.now = absent
	case verbExpire, verbPersist: // PERSIST has the span never
		if o.now != absent {
			o.now.expiry = c.expiry
		}
		if len(o.values) > 0 { // its siblings were hit as well, as far as they were there
			o.expiries = append(o.expiries, c.expiry)
		}
	}
}

// lurk notes a change that may show at any time.
func (o *outcomes) lurk(c change) {
	switch c.verb {
	case verbSet:
		o.values = append(o.values, state{c.value, c.expiry})
	case verbDel:
		o.values = append(o.values, absent)
	case verbExpire, verbPersist:
		o.expiries = append(o.expiries, c.expiry)
	}
}

// observation is what a node answered about a key.
type observation struct {
	value  string // "": there is no such key
	expiry int64  // Unix ms, 0: never
	at     int64  // Unix ms, when it was asked
}

// allows reports whether a key may read so.
func (o outcomes) allows(seen observation) bool {
	for _, s := range append([]state{o.now}, o.values...) {
		if o.allowsAs(s, seen) {
			return true
		}
	}
	return false
}

func (o outcomes) allowsAs(s state, seen observation) bool {
	if s == absent {
		return seen.value == ""
	}
	spans := append([]span{s.expiry}, o.expiries...)
	if seen.value == "" {
		return slices.ContainsFunc(spans, func(x span) bool { return x.mayHaveGone(seen.at) })
	}
	return seen.value == s.value &&
		slices.ContainsFunc(spans, func(x span) bool { return x.holds(seen.expiry) && x.mayStillBe(seen.at) })
}

// same reports whether two nodes answered alike.
func same(a, b observation) bool {
	if a.value != b.value {
		gone := func(x observation) bool {
			return x.expiry != 0 && (span{x.expiry, x.expiry}).mayHaveGone(max(a.at, b.at))
		}
		return a.value == "" && gone(b) || b.value == "" && gone(a)
	}
	return a.value == "" || a.expiry == b.expiry || a.expiry != 0 && b.expiry != 0 && abs(a.expiry-b.expiry) < ttlSlack.Milliseconds()
}

func abs(x int64) int64 { return max(x, -x) }
