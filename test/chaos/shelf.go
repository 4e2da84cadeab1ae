package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	fillers     = 3   // connections per node that fill, or read everything
	pipelineOf  = 200 // SETs in one of theirs
	fillRetries = 20
)

// shelf is the keys of an acceptance scenario. Each value names its key and version, filled up to a size.
type shelf struct {
	size int // bytes of a value

	mu           sync.Mutex
	acknowledged []int32         // the latest version of each key that was
	tried        []int32         // the latest at all
	unknown      map[int][]int32 // versions that may be there or come yet
}

func newShelf(keys, size int) *shelf {
	return &shelf{size: size, acknowledged: make([]int32, keys), tried: make([]int32, keys), unknown: map[int][]int32{}}
}

func (s *shelf) key(i int) string { return fmt.Sprintf("k%07d", i) }

func (s *shelf) value(i int, version int32) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d.%d.", i, version)
	for r := rand.New(rand.NewPCG(uint64(i), uint64(version))); b.Len() < s.size; {
		fmt.Fprintf(&b, "%016x", r.Uint64())
	}
	return b.String()[:max(s.size, strings.LastIndexByte(b.String(), '.')+1)]
}

// write sets each of the keys to its next version in one pipeline, and notes the outcomes.
func (s *shelf) write(ctx context.Context, c *redis.Client, keys []int) (sc score, err error) {
	versions := make([]int32, len(keys))
	s.mu.Lock()
	for k, i := range keys {
		s.tried[i]++
		versions[k] = s.tried[i]
	}
	s.mu.Unlock()
	p := c.Pipeline()
	for k, i := range keys {
		p.Set(ctx, s.key(i), s.value(i, versions[k]), 0)
	}
	answers, _ := p.Exec(ctx) // each has its own error
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, i := range keys {
		e := answers[k].Err()
		o := outcomeOf(e)
		sc[o]++
		switch {
		case o == acknowledged:
			s.acknowledged[i] = max(s.acknowledged[i], versions[k])
		case o == unknown:
			s.unknown[i] = append(s.unknown[i], versions[k])
		}
		if e != nil {
			err = e
		}
	}
	return sc, err
}

// fill writes the keys through all clients at once, without a fault, and wants each of them acknowledged.
func (s *shelf) fill(ctx context.Context, clients []*redis.Client, keys []int) error {
	batches := make(chan []int)
	workers := len(clients) * fillers
	errs := make(chan error, workers)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	for w := range workers {
		go func() {
			for batch := range batches {
				if err := s.insist(ctx, clients[w%len(clients)], batch); err != nil {
					errs <- err
					stop()
					return
				}
			}
			errs <- nil
		}()
	}
	for batch := range slices.Chunk(keys, pipelineOf) {
		select {
		case batches <- batch:
		case <-ctx.Done():
		}
	}
	close(batches)
	var all error
	for range workers {
		all = errors.Join(all, <-errs)
	}
	return errors.Join(all, ctx.Err())
}

// insist writes a batch again and again until each key is acknowledged.
func (s *shelf) insist(ctx context.Context, c *redis.Client, batch []int) error {
	for try := 0; ; try++ {
		sc, err := s.write(ctx, c, batch)
		if sc[acknowledged] == int64(len(batch)) {
			return nil
		}
		if try == fillRetries || ctx.Err() != nil {
			return fmt.Errorf("filling: %d of %d SETs acknowledged: %w", sc[acknowledged], len(batch), err)
		}
		sleep(ctx, 200*time.Millisecond)
	}
}

// disturb writes keys at random, one by one, until ctx ends, and counts.
func (s *shelf) disturb(ctx context.Context, clients []*redis.Client) (total score) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	for w := range 2 * len(clients) {
		wg.Go(func() {
			for ctx.Err() == nil {
				// One writer per key: else it would not be known which of two versions is the later one.
				i := rand.IntN(len(s.tried)/(2*len(clients)))*2*len(clients) + w
				sc, _ := s.write(context.WithoutCancel(ctx), clients[w%len(clients)], []int{i})
				mu.Lock()
				for o := range total {
					total[o] += sc[o]
				}
				mu.Unlock()
				sleep(ctx, 2*time.Millisecond)
			}
		})
	}
	wg.Wait()
	return total
}

// wrong says what is wrong with the answer for a key, "" when nothing is.
func (s *shelf) wrong(i int, value string, present bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !present && s.acknowledged[i] == 0:
		return ""
	case !present:
		return s.key(i) + " is lost"
	case s.acknowledged[i] > 0 && value == s.value(i, s.acknowledged[i]):
		return ""
	}
	for _, v := range s.unknown[i] {
		if value == s.value(i, v) {
			return ""
		}
	}
	return fmt.Sprintf("%s reads %.40q, acknowledged is version %d", s.key(i), value, s.acknowledged[i])
}

// readAll reads every key through a node and lists what is wrong.
func (s *shelf) readAll(ctx context.Context, n *node) []string {
	var mu sync.Mutex
	var bad findings
	var wg sync.WaitGroup
	share := (len(s.tried) + fillers - 1) / fillers
	for w := range fillers {
		from, to := min(w*share, len(s.tried)), min((w+1)*share, len(s.tried))
		wg.Go(func() {
			pipelined(ctx, n.client, to-from, func(p redis.Pipeliner, i int) { p.Get(ctx, s.key(from+i)) }, func(i int, answer redis.Cmder) {
				value, err := answer.(*redis.StringCmd).Result()
				what := ""
				if err != nil && !errors.Is(err, redis.Nil) {
					what = fmt.Sprintf("%s: %v", s.key(from+i), err)
				} else {
					what = s.wrong(from+i, value, err == nil)
				}
				if what != "" {
					mu.Lock()
					bad.add("%s", what)
					mu.Unlock()
				}
			})
		})
	}
	wg.Wait()
	return bad.list()
}

// upTo lists 0, 1, 2 ... below n.
func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}
