package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// house is one run: its processes, its folder and its report.
type house struct {
	options
	out       io.Writer
	temporary bool
	all       []*process

	mu     sync.Mutex
	faults []string
}

func newHouse(o options, out io.Writer) (*house, error) {
	h := &house{options: o, out: out}
	redis.SetLogger(silence{}) // every error is counted and reported by its caller
	if o.dir != "" {
		return h, os.MkdirAll(o.dir, 0o755)
	}
	dir, err := os.MkdirTemp("", "shoal-chaos-")
	h.dir, h.temporary = dir, true
	return h, err
}

// silence is a logger that says nothing.
type silence struct{}

// Printf drops the message.
func (silence) Printf(context.Context, string, ...any) {}

// say prints a line of the report.
func (h *house) say(format string, args ...any) {
	fmt.Fprintf(h.out, "%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

// fault notes something that must not be. The run goes on.
func (h *house) fault(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	h.mu.Lock()
	h.faults = append(h.faults, text)
	h.mu.Unlock()
	h.say("FAULT: %s", text)
}

// close ends every process, reads the logs and gives the verdict.
func (h *house) close(err error) error {
	for _, p := range h.all {
		p.kill()
	}
	for _, p := range h.all {
		if line := p.panicLine(); line != "" {
			h.fault("log of %s: %s", p.name, line)
		}
	}
	if err == nil && len(h.faults) > 0 {
		err = fmt.Errorf("%d faults, the first: %s", len(h.faults), h.faults[0])
	}
	if err != nil {
		return fmt.Errorf("%w (data and logs are left in %s)", err, h.dir)
	}
	if h.temporary {
		return os.RemoveAll(h.dir)
	}
	return nil
}

// node is a process that serves clients as shoal does.
type node struct {
	*process
	addr, peer string
	client     *redis.Client
}

// node makes the i-th node of this run without starting it.
func (h *house) node(i int, name string, flags ...string) *node {
	n := &node{addr: fmt.Sprintf("127.0.0.1:%d", h.port+i), peer: fmt.Sprintf("127.0.0.1:%d", h.port+i+10000)}
	args := append([]string{"serve", "--name", name, "--listen", n.addr, "--dir", filepath.Join(h.dir, name),
		"--http", fmt.Sprintf("127.0.0.1:%d", h.port+i+100)}, flags...) // to look inside with go tool pprof
	n.process = h.process(name, h.shoal, args...)
	n.client = connect(n.addr)
	return n
}

func (h *house) process(name, program string, args ...string) *process {
	p := &process{name: name, program: program, args: args, log: filepath.Join(h.dir, name+".log")}
	h.all = append(h.all, p)
	return p
}

// connect makes a client that never retries: what a command answers is what the caller sees.
func connect(addr string) *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: addr, MaxRetries: -1, DialerRetries: 1, PoolSize: 64,
		DialTimeout: time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second,
	})
}

// field is a number of an INFO section; -1 when there is no answer.
func (n *node) field(ctx context.Context, section, name string) int {
	ctx, stop := context.WithTimeout(ctx, 2*time.Second)
	defer stop()
	text, err := n.client.Info(ctx, section).Result()
	if err != nil {
		return -1
	}
	for line := range strings.Lines(text) {
		var value int
		if _, err := fmt.Sscanf(line, name+":%d", &value); err == nil {
			return value
		}
	}
	return -1
}

// whole says whether all the node's replicas may answer by themselves.
func (n *node) whole(ctx context.Context) bool {
	return n.field(ctx, "ring", "ring_replicas_whole") == n.field(ctx, "ring", "ring_replicas")
}

// live waits until each node sees this many members answer and has caught up with them, and says how long that took.
func live(ctx context.Context, want int, within time.Duration, nodes ...*node) (time.Duration, error) {
	from := time.Now()
	for _, n := range nodes {
		for n.field(ctx, "ring", "ring_live") != want || !n.whole(ctx) || n.client.Ping(ctx).Err() != nil {
			switch {
			case ctx.Err() != nil:
				return 0, ctx.Err()
			case !n.running():
				return 0, fmt.Errorf("node %s has exited: %w", n.name, n.exit())
			case time.Since(from) > within:
				return 0, fmt.Errorf("node %s does not see %d live members after %v", n.name, want, within)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	return time.Since(from), nil
}

// cluster starts nodes as one cluster and waits until each sees all.
func cluster(ctx context.Context, nodes ...*node) error {
	for i, n := range nodes {
		if i > 0 {
			n.args = append(n.args, "--join", nodes[0].peer)
		}
		if err := n.start(); err != nil {
			return err
		}
	}
	_, err := live(ctx, len(nodes), time.Minute, nodes...)
	return err
}

// works writes through each node and reads back through the others, on fresh connections.
func works(ctx context.Context, nodes ...*node) error {
	var errs []error
	for i, n := range nodes {
		writer, reader := connect(n.addr), connect(nodes[(i+1)%len(nodes)].addr)
		value := fmt.Sprint(time.Now().UnixNano())
		if err := writer.Set(ctx, "works:"+n.name, value, 0).Err(); err != nil {
			errs = append(errs, fmt.Errorf("SET through %s: %w", n.name, err))
		} else if got, err := reader.Get(ctx, "works:"+n.name).Result(); err != nil || got != value {
			errs = append(errs, fmt.Errorf("GET of what %s acknowledged: %q, %w", n.name, got, err))
		}
		_, _ = writer.Close(), reader.Close()
	}
	return errors.Join(errs...)
}
