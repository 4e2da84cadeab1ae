package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	workers   = 32                     // connections that write at the same time
	batch     = 8                      // SETs in one pipeline
	restFor   = 200 * time.Millisecond // how long a node is left alone after an error
	lookAgain = 20 * time.Millisecond  // how often a worker looks for a node when all are left alone
)

// writeJob is one round: every key of the data set is set once, through all nodes in turn, to the round's value.
// A SET that fails is never tried again: its one outcome is what the book needs.
type writeJob struct {
	data, book string
	round      int
	addrs      []string
	rate       int     // SETs per second
	least      float64 // smallest share of acknowledged SETs
}

// writer is a job under way.
type writer struct {
	writeJob
	entries []entry
	nodes   []*target
	start   time.Time
	next    atomic.Int64 // first entry that no worker has taken
	done    atomic.Int64 // entries with an outcome
	out     io.Writer

	mu     sync.Mutex
	book   []byte
	faults map[string]int // what was told of an error: how often
	tenth  int64          // progress already told, in tenths
}

// target is one node and until when it is left alone.
type target struct {
	addr   string
	client *redis.Client
	rested atomic.Int64 // unix ms
}

// write does the job. While it goes on it prints "progress PERCENT" for every tenth, which is how the script knows
// when to kill.
func write(ctx context.Context, out io.Writer, job writeJob) error {
	entries, err := readData(job.data)
	if err != nil {
		return err
	}
	if len(entries) == 0 || len(job.addrs) == 0 || job.rate < 1 {
		return fmt.Errorf("write needs --data, --addrs and --rate")
	}
	w := &writer{writeJob: job, entries: entries, out: out, start: time.Now(), faults: map[string]int{}}
	w.book = slices.Repeat([]byte{byte(untried)}, len(entries))
	for _, addr := range job.addrs {
		t := &target{addr: addr, client: connect(addr)}
		defer t.client.Close()
		w.nodes = append(w.nodes, t)
	}
	var all sync.WaitGroup
	for i := range workers {
		all.Go(func() { w.work(ctx, i) })
	}
	all.Wait()
	if err := os.WriteFile(job.book, w.book, 0o666); err != nil {
		return err
	}
	return w.report()
}

// connect is a plain client of one node. It never repeats a command by itself: each SET must have one outcome.
func connect(addr string) *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr:          addr,
		MaxRetries:    -1,
		DialerRetries: 1,
		DialTimeout:   time.Second,
		ReadTimeout:   5 * time.Second,
		WriteTimeout:  5 * time.Second,
		PoolSize:      workers,
	})
}

// work takes batches until none is left or the time is up.
func (w *writer) work(ctx context.Context, first int) {
	for turn := first; ; turn++ {
		from := int(w.next.Add(batch)) - batch
		if from >= len(w.entries) {
			return
		}
		due := w.start.Add(time.Duration(from) * time.Second / time.Duration(w.rate))
		if !wait(ctx, time.Until(due)) {
			return
		}
		node := w.pick(ctx, turn)
		if node == nil {
			return
		}
		w.send(ctx, node, from, min(from+batch, len(w.entries)))
	}
}

// pick is the next node in turn that is not left alone. It waits when there is none, and is nil when the time is up.
func (w *writer) pick(ctx context.Context, turn int) *target {
	for {
		for i := range w.nodes {
			if t := w.nodes[(turn+i)%len(w.nodes)]; t.rested.Load() <= time.Now().UnixMilli() {
				return t
			}
		}
		if !wait(ctx, lookAgain) {
			return nil
		}
	}
}

// send sets the entries in one pipeline and notes every outcome. Once sent, a batch is waited for whatever the time.
func (w *writer) send(ctx context.Context, t *target, from, to int) {
	pipe := t.client.Pipeline()
	for _, e := range w.entries[from:to] {
		pipe.Set(ctx, e.key, e.value(w.round), 0)
	}
	answers, _ := pipe.Exec(context.WithoutCancel(ctx)) // each answer has its own error
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, answer := range answers {
		w.book[from+i] = byte(outcomeOf(answer.Err()))
		if err := answer.Err(); err != nil {
			w.faults[t.addr+": "+told(err)]++
			t.rested.Store(time.Now().Add(restFor).UnixMilli())
		}
	}
	done := w.done.Add(int64(to - from))
	if tenth := done * 10 / int64(len(w.entries)); tenth > w.tenth {
		w.tenth = tenth
		fmt.Fprintf(w.out, "progress %d\n", tenth*10)
	}
}

// told is the text under which an error is counted: without the ports of the connection, which differ every time.
func told(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}

// report prints the counts and decides whether enough was acknowledged to make the round worth anything.
func (w *writer) report() error {
	count := map[outcome]int{}
	for _, b := range w.book {
		count[outcome(b)]++
	}
	fmt.Fprintf(w.out, "round %d: %d keys, %d acknowledged, %d refused, %d unknown, %d not tried, %.1f s\n",
		w.round, len(w.entries), count[acknowledged], count[refused], count[unknown], count[untried],
		time.Since(w.start).Seconds())
	texts := slices.SortedFunc(maps.Keys(w.faults), func(a, b string) int { return w.faults[b] - w.faults[a] })
	for _, text := range texts[:min(len(texts), 12)] {
		fmt.Fprintf(w.out, "  %d x %s\n", w.faults[text], text)
	}
	if share := float64(count[acknowledged]) / float64(len(w.entries)); share < w.least {
		return fmt.Errorf("only %.1f %% of the SETs were acknowledged, %.1f %% expected", share*100, w.least*100)
	}
	return nil
}

// wait waits, and reports false when the time was up first.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return ctx.Err() == nil
	}
}
