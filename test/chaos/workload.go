package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	writersPerNode = 2 // of each workload
	pauseOfWriter  = 6 * time.Millisecond
	readAtOnce     = 100 // commands in one pipeline of a check
)

// workload is clients that write, and what may be read afterwards.
type workload interface {
	name() string
	// act makes one write by a writer, through the client of the writer's own node, and notes its outcome. One writer's
	// acts come one after the other; those of different writers at once.
	act(ctx context.Context, c *redis.Client, writer int, r *rand.Rand) outcome
	// check reads everything through a node while nobody writes and lists what must not be.
	check(ctx context.Context, n *node) []string
	// settle takes what every node has answered for the truth: after it nothing is unknown.
	settle()
}

// crew is writers at work, and how their writes ended.
type crew struct {
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu     sync.Mutex
	scores map[string]*score // by workload
}

// employ lets the workloads' writers work, a share of them at each node, until end is called.
func (f *fleet) employ(ctx context.Context, seed uint64, works []workload) *crew {
	ctx, stop := context.WithCancel(ctx)
	c := &crew{stop: stop, scores: map[string]*score{}}
	for _, w := range works {
		c.scores[w.name()] = &score{}
	}
	for i, w := range works {
		mine := c.scores[w.name()]
		for writer := range len(f.nodes) * writersPerNode {
			r := rand.New(rand.NewPCG(seed, uint64(i)<<32|uint64(writer)))
			client := f.hasty[writer%len(f.nodes)]
			c.wg.Go(func() {
				for ctx.Err() == nil {
					o := w.act(context.WithoutCancel(ctx), client, writer, r)
					c.mu.Lock()
					mine[o]++
					c.mu.Unlock()
					time.Sleep(pauseOfWriter)
					if o == refused {
						time.Sleep(10 * pauseOfWriter) // a node that is down would be asked thousands of times
					}
				}
			})
		}
	}
	return c
}

// end stops the writers and waits for what is under way.
func (c *crew) end() map[string]*score {
	c.stop()
	c.wg.Wait()
	return c.scores
}

// findings collects what must not be, the first few in full.
type findings struct {
	what  []string
	count int
}

const findingsShown = 8

func (f *findings) add(format string, args ...any) {
	if f.count++; f.count <= findingsShown {
		f.what = append(f.what, fmt.Sprintf(format, args...))
	}
}

func (f *findings) list() []string {
	if f.count > findingsShown {
		return append(f.what, fmt.Sprintf("and %d more", f.count-findingsShown))
	}
	return f.what
}

// pipelined sends one command per item in pipelines and hands each answer to take.
func pipelined(ctx context.Context, c *redis.Client, items int, ask func(p redis.Pipeliner, i int), take func(i int, answer redis.Cmder)) {
	for from := 0; from < items; from += readAtOnce {
		p := c.Pipeline()
		for i := from; i < min(from+readAtOnce, items); i++ {
			ask(p, i)
		}
		answers, _ := p.Exec(ctx) // each answer has its own error
		per := len(answers) / max(1, min(readAtOnce, items-from))
		for k, answer := range answers {
			take(from+k/max(1, per), answer)
		}
	}
}
