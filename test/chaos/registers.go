package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const keysPerRegistrar = 15 // of each writer

// registers are few keys that are set, deleted, given an expiry and deprived of it, each by one writer of its own, so
// that what may be read is known.
type registers struct {
	loose  func() bool // whether sloppy quorums may have taken writes
	unseen int         // see history.unseen

	mu   sync.Mutex
	keys [][]*register // by writer
	turn int
}

type register struct {
	key     string
	history history
	seen    []observation // one per node, of the check under way
}

func (*registers) name() string { return "registers" }

func newRegisters(writers int, loose func() bool) *registers {
	g := &registers{loose: loose}
	for w := range writers {
		var keys []*register
		for k := range keysPerRegistrar {
			keys = append(keys, &register{key: fmt.Sprintf("register:%d:%d", w, k)})
		}
		g.keys = append(g.keys, keys)
	}
	return g
}

func (g *registers) act(ctx context.Context, c *redis.Client, writer int, r *rand.Rand) outcome {
	g.mu.Lock()
	g.turn++
	value := fmt.Sprintf("w%d-%d", writer, g.turn)
	g.mu.Unlock()
	reg := g.keys[writer][r.IntN(keysPerRegistrar)] // nobody else touches it while there are writers
	made, err := change{}, error(nil)
	sent := time.Now()
	at := sent.Add(time.Duration(1000+r.IntN(40_000)) * time.Millisecond).UnixMilli()
	switch n := r.IntN(100); {
	case n < 40:
		made = change{verb: verbSet, value: value}
		err = c.Set(ctx, reg.key, value, 0).Err()
	case n < 55:
		made = change{verb: verbSet, value: value, expiry: span{at, at}}
		err = c.Do(ctx, "SET", reg.key, value, "PXAT", at).Err()
	case n < 75:
		made = change{verb: verbDel}
		var hit int64
		hit, err = c.Del(ctx, reg.key).Result()
		made.without = hit == 0
	case n < 82:
		made = change{verb: verbExpire, expiry: span{at, at}}
		var hit bool
		hit, err = c.PExpireAt(ctx, reg.key, time.UnixMilli(at)).Result()
		made.without = !hit
	case n < 90:
		ttl := time.Duration(1+r.IntN(40)) * time.Second
		var hit bool
		hit, err = c.Expire(ctx, reg.key, ttl).Result()
		made = change{verb: verbExpire, expiry: span{sent.Add(ttl).UnixMilli(), time.Now().Add(ttl).UnixMilli()}, without: !hit}
		if outcomeOf(err) == unknown { // it may be counted from much later
			made.expiry.to = math.MaxInt64
		}
	default:
		made = change{verb: verbPersist}
		var hit bool
		hit, err = c.Persist(ctx, reg.key).Result()
		made.without = !hit
	}
	made.outcome = outcomeOf(err)
	made.without = made.without && made.outcome == acknowledged
	reg.history.changes = append(reg.history.changes, made)
	return made.outcome
}

// all lists the keys of all writers.
func (g *registers) all() (all []*register) {
	for _, keys := range g.keys {
		all = append(all, keys...)
	}
	return all
}

func (g *registers) check(ctx context.Context, n *node) []string {
	var bad findings
	all, loose := g.all(), g.loose()
	for i := range all {
		all[i].seen = append(all[i].seen, observation{at: time.Now().UnixMilli()})
	}
	failed := map[int]bool{}
	pipelined(ctx, n.client, len(all), func(p redis.Pipeliner, i int) {
		p.PTTL(ctx, all[i].key)
		p.Get(ctx, all[i].key)
	}, func(i int, answer redis.Cmder) {
		seen := &all[i].seen[len(all[i].seen)-1]
		switch a := answer.(type) {
		case *redis.DurationCmd:
			if seen.at = time.Now().UnixMilli(); a.Val() > 0 {
				seen.expiry = seen.at + a.Val().Milliseconds()
			}
		case *redis.StringCmd:
			seen.value = a.Val()
		}
		if err := answer.Err(); err != nil && !errors.Is(err, redis.Nil) {
			failed[i] = true
			bad.add("%s: %v", all[i].key, err)
		}
	})
	for i, reg := range all {
		seen := reg.seen[len(reg.seen)-1]
		if seen.value == "" {
			reg.seen[len(reg.seen)-1].expiry = 0
			seen.expiry = 0
		}
		if failed[i] {
			continue
		}
		if !reg.history.outcomes(loose).allows(seen) {
			bad.add("%s reads %s; its history: %v", reg.key, seen, reg.history)
		}
		if !same(reg.seen[0], seen) {
			bad.add("%s reads %s, and %s through the first node", reg.key, seen, reg.seen[0])
		}
	}
	return bad.list()
}

// settle begins new histories with what was read.
func (g *registers) settle() {
	for _, reg := range g.all() {
		g.unseen += len(reg.history.unseen())
		if len(reg.seen) == 0 {
			continue
		}
		seen := reg.seen[0]
		reg.history = history{base: state{value: seen.value}}
		if seen.expiry != 0 {
			reg.history.base.expiry = span{seen.expiry, seen.expiry}
		}
		reg.seen = nil
	}
}

func (o observation) String() string {
	switch {
	case o.value == "":
		return "nothing"
	case o.expiry == 0:
		return o.value
	}
	return fmt.Sprintf("%s until %d", o.value, o.expiry)
}

func (s state) String() string {
	if s == absent {
		return "nothing"
	}
	return observation{value: s.value, expiry: s.expiry.from}.String()
}
