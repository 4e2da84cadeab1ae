package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Size and speed of the load that nodes are killed under.
const (
	workersPerNode = 3 // that write, and as many that read
	keysPerWriter  = 40
	pauseOfWorker  = 8 * time.Millisecond
)

// book says what may be read. Each key has one writer, which writes 1, 2, 3 ... into it.
type book struct {
	mu   sync.Mutex
	keys []entry
}

type entry struct {
	tried, acknowledged int64 // largest value of each kind; every value is tried once
	acks                int64 // how many were acknowledged
}

func (b *book) entry(i int) entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.keys[i]
}

// try returns the next value of a key.
func (b *book) try(i int) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.keys[i].tried++
	return b.keys[i].tried
}

func (b *book) acknowledge(i int, value int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.keys[i].acknowledged = value
	b.keys[i].acks++
}

// op is one operation that a client made.
type op struct {
	node       int
	write      bool
	begin, end time.Time
	err        error
	stale      string // what was read although a newer value had been acknowledged before
}

// load is clients of every node that write and read, each at a node of its own, and what they saw.
type load struct {
	nodes []*node
	book  book

	mu  sync.Mutex
	ops []op

	stop context.CancelFunc
	wg   sync.WaitGroup
}

func loadKey(i int) string { return fmt.Sprintf("load:%d", i) }

// begin starts the load.
func begin(ctx context.Context, nodes []*node) *load {
	ctx, stop := context.WithCancel(ctx)
	l := &load{nodes: nodes, stop: stop}
	l.book.keys = make([]entry, len(nodes)*workersPerNode*keysPerWriter)
	for w := range len(nodes) * workersPerNode {
		l.wg.Go(func() { l.run(ctx, w%len(nodes), func(r *rand.Rand) op { return l.write(ctx, w, r) }) })
		l.wg.Go(func() { l.run(ctx, w%len(nodes), func(r *rand.Rand) op { return l.read(ctx, w%len(nodes), r) }) })
	}
	return l
}

// end stops the load and waits for what is under way.
func (l *load) end() {
	l.stop()
	l.wg.Wait()
}

func (l *load) run(ctx context.Context, node int, do func(*rand.Rand) op) {
	r := rand.New(rand.NewPCG(rand.Uint64(), 0))
	for ctx.Err() == nil {
		o := do(r)
		if ctx.Err() != nil {
			return // cut off by the end of the load
		}
		o.node, o.end = node, time.Now()
		l.mu.Lock()
		l.ops = append(l.ops, o)
		l.mu.Unlock()
		time.Sleep(pauseOfWorker)
	}
}

// write sets the next value of one of a writer's own keys, through the writer's own node.
func (l *load) write(ctx context.Context, writer int, r *rand.Rand) op {
	key := writer*keysPerWriter + r.IntN(keysPerWriter)
	o := op{write: true, begin: time.Now()}
	value := l.book.try(key)
	o.err = l.nodes[writer%len(l.nodes)].client.Set(ctx, loadKey(key), value, 0).Err()
	if o.err == nil {
		l.book.acknowledge(key, value)
	}
	return o
}

// read gets any key and compares it with what was acknowledged before.
func (l *load) read(ctx context.Context, node int, r *rand.Rand) op {
	key := r.IntN(len(l.book.keys))
	o := op{begin: time.Now()}
	before := l.book.entry(key)
	o.stale, o.err = l.check(ctx, node, key, before)
	return o
}

// check reads a key through a node. stale says how the value contradicts the book.
func (l *load) check(ctx context.Context, node, key int, before entry) (stale string, err error) {
	text, err := l.nodes[node].client.Get(ctx, loadKey(key)).Result()
	if errors.Is(err, redis.Nil) {
		text, err = "0", nil
	}
	if err != nil {
		return "", err
	}
	value, err := strconv.ParseInt(text, 10, 64)
	if after := l.book.entry(key); err != nil || value < before.acknowledged || value > after.tried {
		return fmt.Sprintf("%s reads %q, acknowledged %d, tried %d", loadKey(key), text, before.acknowledged, after.tried), nil
	}
	return "", nil
}

// view is a part of what the clients saw.
type view struct {
	ops     int
	errors  map[string]int // by text
	stale   []string
	latency latency
}

// view gathers the operations of some nodes that ended within the time.
func (l *load) view(from, to time.Time, write, read bool, nodes ...int) view {
	v := view{errors: map[string]int{}}
	var took []time.Duration
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, o := range l.ops {
		if o.end.Before(from) || o.end.After(to) || !slices.Contains(nodes, o.node) || o.write && !write || !o.write && !read {
			continue
		}
		v.ops++
		took = append(took, o.end.Sub(o.begin))
		if o.err != nil {
			v.errors[o.err.Error()]++
		}
		if o.stale != "" {
			v.stale = append(v.stale, o.stale)
		}
	}
	v.latency = summary(took)
	return v
}

func (v view) failed() (n int) {
	for _, count := range v.errors {
		n += count
	}
	return n
}

// verify reads every key on each node, after the load.
func (l *load) verify(ctx context.Context) error {
	var errs []error
	for node, n := range l.nodes {
		wrong := 0
		for key := range l.book.keys {
			stale, err := l.check(ctx, node, key, l.book.entry(key))
			if err == nil && stale != "" {
				err = errors.New(stale)
			}
			if err != nil && wrong == 0 {
				errs = append(errs, fmt.Errorf("node %s: %w", n.name, err))
			}
			if err != nil {
				wrong++
			}
		}
		if wrong > 0 {
			errs = append(errs, fmt.Errorf("node %s: %d of %d keys read wrong", n.name, wrong, len(l.book.keys)))
		}
	}
	return errors.Join(errs...)
}

// written is how many SETs were acknowledged.
func (l *load) written() (acknowledged, tried int64) {
	l.book.mu.Lock()
	defer l.book.mu.Unlock()
	for _, e := range l.book.keys {
		acknowledged += e.acks
		tried += e.tried
	}
	return acknowledged, tried
}
