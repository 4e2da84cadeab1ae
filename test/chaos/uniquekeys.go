package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/redis/go-redis/v9"
)

// uniqueKeys sets a key of its own with every write.
type uniqueKeys struct {
	mu       sync.Mutex
	outcomes []outcome
	shown    map[int]bool // keys whose SET had no answer, that a check has read
}

func newUniqueKeys() *uniqueKeys { return &uniqueKeys{shown: map[int]bool{}} }

func (*uniqueKeys) name() string { return "unique keys" }

func uniqueKey(i int) string   { return fmt.Sprintf("unique:%d", i) }
func uniqueValue(i int) string { return fmt.Sprintf("%d is %016x", i, uint64(i)*0x9e3779b97f4a7c15) }

func (u *uniqueKeys) act(ctx context.Context, c *redis.Client, _ int, _ *rand.Rand) outcome {
	u.mu.Lock()
	i := len(u.outcomes)
	u.outcomes = append(u.outcomes, unknown)
	u.mu.Unlock()
	o := outcomeOf(c.Set(ctx, uniqueKey(i), uniqueValue(i), 0).Err())
	u.mu.Lock()
	u.outcomes[i] = o
	u.mu.Unlock()
	return o
}

// wrongUnique says what is wrong with the answer for key i whose only SET ended so, "" when nothing is.
func wrongUnique(i int, o outcome, value string, present bool) string {
	switch {
	case present && value != uniqueValue(i):
		return fmt.Sprintf("%s has the value %q that nobody set", uniqueKey(i), value)
	case present && o == refused:
		return fmt.Sprintf("%s is there although its SET was refused, which promises that nothing was written", uniqueKey(i))
	case !present && o == acknowledged:
		return uniqueKey(i) + " is lost, its SET was acknowledged"
	}
	return ""
}

func (u *uniqueKeys) check(ctx context.Context, n *node) []string {
	var bad findings
	pipelined(ctx, n.client, len(u.outcomes), func(p redis.Pipeliner, i int) { p.Get(ctx, uniqueKey(i)) },
		func(i int, answer redis.Cmder) {
			value, err := answer.(*redis.StringCmd).Result()
			if err == nil && u.outcomes[i] == unknown {
				u.shown[i] = true
			}
			if err != nil && !errors.Is(err, redis.Nil) {
				bad.add("%s: %v", uniqueKey(i), err)
			} else if what := wrongUnique(i, u.outcomes[i], value, err == nil); what != "" {
				bad.add("%s", what)
			}
		})
	return bad.list()
}

// settle takes a key that was read for acknowledged: what was shown once may not go.
func (u *uniqueKeys) settle() {
	for i := range u.shown {
		u.outcomes[i] = acknowledged
	}
	clear(u.shown)
}
