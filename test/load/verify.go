package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/redis/go-redis/v9"
)

const (
	readers   = 4   // connections that read from one node at the same time
	readBatch = 100 // GETs in one pipeline
	examples  = 5   // faults of one node that are shown in full
)

// tally is what reading every key from one node came to.
type tally struct {
	mu                     sync.Mutex
	verified               int // right
	newer                  int // of those: a later value whose SET was never acknowledged
	wrong, missing, failed int
	examples               []string
}

// verify reads every key from each node, one after the other, with a plain client of that node only.
func verify(ctx context.Context, out io.Writer, data string, books, addrs []string) error {
	entries, err := readData(data)
	if err != nil {
		return err
	}
	histories, err := readHistories(books, len(entries))
	if err != nil {
		return err
	}
	if len(entries) == 0 || len(addrs) == 0 {
		return errors.New("verify needs --data and --addrs")
	}
	bad := 0
	for _, addr := range addrs {
		t := readAll(ctx, addr, entries, histories)
		fmt.Fprintf(out, "%s: %d keys, %d verified (%d of them by a later unacknowledged value), %d wrong, %d missing, %d errors\n",
			addr, len(entries), t.verified, t.newer, t.wrong, t.missing, t.failed)
		for _, example := range t.examples {
			fmt.Fprintf(out, "  %s\n", example)
		}
		bad += t.wrong + t.missing + t.failed + (len(entries) - t.verified - t.wrong - t.missing - t.failed)
	}
	if bad > 0 {
		return fmt.Errorf("%d reads did not give an acknowledged value", bad)
	}
	return nil
}

// readAll reads every key from the node.
func readAll(ctx context.Context, addr string, entries []entry, histories []history) *tally {
	client := connect(addr)
	defer client.Close()
	var (
		t     = &tally{}
		all   sync.WaitGroup
		share = (len(entries) + readers - 1) / readers
	)
	for i := range readers {
		all.Go(func() {
			end := min((i+1)*share, len(entries))
			for from := i * share; from < end; from += readBatch {
				to := min(from+readBatch, end)
				pipe := client.Pipeline()
				for _, e := range entries[from:to] {
					pipe.Get(ctx, e.key)
				}
				answers, _ := pipe.Exec(ctx) // each answer has its own error
				for j, answer := range answers {
					t.judge(entries[from+j], histories[from+j], answer.(*redis.StringCmd))
				}
			}
		})
	}
	all.Wait()
	return t
}

// judge holds one answer against the key's history.
func (t *tally) judge(e entry, h history, answer *redis.StringCmd) {
	value, err := answer.Result()
	round := 0
	switch {
	case err == nil:
		round = roundOf(e, value, len(h))
	case !errors.Is(err, redis.Nil):
		round = failedRead
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case round == failedRead:
		t.failed++
		t.example("%s: %v", e.key, err)
	case h.accepts(round):
		t.verified++
		if round > 0 && h[round-1] != acknowledged {
			t.newer++
		}
	case round == 0:
		t.missing++
		t.example("%s: missing, history %s", e.key, h)
	default:
		t.wrong++
		t.example("%s: %.60q is of round %d, history %s", e.key, value, round, h)
	}
}

// What roundOf and judge say besides a round. 0 is a missing key.
const (
	strange    = -1 // a value that no round has set
	failedRead = -2
)

// roundOf is the round that set this value.
func roundOf(e entry, value string, rounds int) int {
	for round := 1; round <= rounds; round++ {
		if value == e.value(round) {
			return round
		}
	}
	return strange
}

// example notes a fault for showing. The caller holds the lock.
func (t *tally) example(format string, args ...any) {
	if len(t.examples) < examples {
		t.examples = append(t.examples, fmt.Sprintf(format, args...))
	}
}
