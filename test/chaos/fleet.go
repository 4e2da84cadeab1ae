package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	ownersOf   = 3                       // copies of each key: what shoal founds a cluster with
	impatience = 1500 * time.Millisecond // of a client; an operation's deadline in the node is a second
	lookEvery  = 100 * time.Millisecond
)

// fleet is a cluster whose nodes reach each other through a network that can be cut, and that are killed, stopped and
// robbed of their disks.
type fleet struct {
	*house
	nodes []*node
	net   *network
	hasty []*redis.Client // one per node, with little patience
	base  [][]string      // arguments without --join

	down []atomic.Bool  // killed on purpose
	pids []atomic.Int64 // 0: killed
}

// errExited is of a node that ended by itself, which none may.
var errExited = errors.New("a node has exited")

var names = []string{"a", "b", "c", "d", "e"}

// newFleet starts a cluster of so many nodes.
func (h *house) newFleet(ctx context.Context, count int, flags ...string) (*fleet, error) {
	f := &fleet{house: h, down: make([]atomic.Bool, count), pids: make([]atomic.Int64, count)}
	var peers, fronts []string
	for i := range count {
		n := h.node(i, names[i], flags...)
		f.nodes, peers = append(f.nodes, n), append(peers, n.peer)
		fronts = append(fronts, fmt.Sprintf("127.0.0.1:%d", h.port+i+20000))
		f.hasty = append(f.hasty, impatient(n.addr))
	}
	var err error
	if f.net, err = newNetwork(peers, fronts, f.pid); err != nil {
		return nil, err
	}
	for i, n := range f.nodes {
		n.args = append(n.args, "--announce-peer", f.net.fronts[i].addr)
		f.base = append(f.base, n.args)
		if i > 0 {
			n.args = append(slices.Clone(n.args), "--join", f.net.fronts[0].addr)
		}
		if err := f.start(i); err != nil {
			return nil, errors.Join(err, f.net.close())
		}
	}
	for i, n := range f.nodes { // from now on any of them lets a node back in
		n.args = slices.Clone(f.base[i])
		for j, front := range f.net.fronts {
			if j != i {
				n.args = append(n.args, "--join", front.addr)
			}
		}
	}
	if _, err := f.together(ctx, time.Minute); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

// impatient makes a client that never retries and gives up soon: an error of any kind but a refusal means that the
// outcome is unknown.
func impatient(addr string) *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: addr, MaxRetries: -1, DialerRetries: 1, PoolSize: 16,
		DialTimeout: impatience, ReadTimeout: impatience, WriteTimeout: impatience,
	})
}

// close ends nodes and network; the house looks at the logs afterwards.
func (f *fleet) close() error {
	for i := range f.nodes {
		f.kill(i)
		_, _ = f.nodes[i].client.Close(), f.hasty[i].Close()
	}
	return f.net.close()
}

func (f *fleet) pid(i int) int { return int(f.pids[i].Load()) }

func (f *fleet) start(i int) error {
	if err := f.nodes[i].start(); err != nil {
		return err
	}
	f.pids[i].Store(int64(f.nodes[i].cmd.Process.Pid))
	f.down[i].Store(false)
	return f.net.fronts[i].raise()
}

// kill ends the process with SIGKILL. Its address refuses from then on.
func (f *fleet) kill(i int) {
	f.down[i].Store(true)
	f.pids[i].Store(0)
	f.net.fronts[i].lower()
	f.nodes[i].kill()
}

func (f *fleet) stop(i int) { _ = f.nodes[i].signal(syscall.SIGSTOP) }
func (f *fleet) cont(i int) { _ = f.nodes[i].signal(syscall.SIGCONT) }

func (f *fleet) folder(i int) string { return filepath.Join(f.dir, f.nodes[i].name) }
func (f *fleet) backup(i int) string { return filepath.Join(f.dir, f.nodes[i].name+".backup") }

// wipe removes the folder of a killed node.
func (f *fleet) wipe(i int) error { return os.RemoveAll(f.folder(i)) }

// copyFolder keeps a copy of a killed node's folder.
func (f *fleet) copyFolder(i int) error {
	if err := os.RemoveAll(f.backup(i)); err != nil {
		return err
	}
	return os.CopyFS(f.backup(i), os.DirFS(f.folder(i)))
}

// putBack replaces a killed node's folder by its copy.
func (f *fleet) putBack(i int) error {
	if err := os.RemoveAll(f.folder(i)); err != nil {
		return err
	}
	return os.Rename(f.backup(i), f.folder(i))
}

// state says in words what keeps the fleet from being whole, "" when it is: every node runs, sees every other, and all
// its replicas may answer by themselves.
func (f *fleet) state(ctx context.Context) string {
	for _, n := range f.nodes {
		ring := n.info(ctx, "ring")
		switch {
		case ring == nil:
			return n.name + " does not answer"
		case ring["ring_live"] != int64(len(f.nodes)):
			return fmt.Sprintf("%s sees %d of %d members", n.name, ring["ring_live"], len(f.nodes))
		case ring["ring_members"] != int64(len(f.nodes)):
			return fmt.Sprintf("%s has a map of %d members", n.name, ring["ring_members"])
		case ring["ring_replicas_whole"] != ring["ring_replicas"]:
			return fmt.Sprintf("%s has %d of %d replicas whole", n.name, ring["ring_replicas_whole"], ring["ring_replicas"])
		case ring["ring_pending_transfers"] != 0:
			return fmt.Sprintf("%s knows of %d replicas being filled", n.name, ring["ring_pending_transfers"])
		}
	}
	return ""
}

// together waits until the fleet is whole and says how long that took.
func (f *fleet) together(ctx context.Context, within time.Duration) (time.Duration, error) {
	return f.until(ctx, within, func() string { return f.state(ctx) })
}

// until asks again and again until the answer is "", and says how long that took. A node that has exited by itself ends
// it.
func (f *fleet) until(ctx context.Context, within time.Duration, missing func() string) (time.Duration, error) {
	from := time.Now()
	for {
		what := missing()
		if what == "" {
			return time.Since(from), nil
		}
		for i, n := range f.nodes {
			if !f.down[i].Load() && !n.running() {
				return 0, fmt.Errorf("%w: %s, %w; its last words: %s", errExited, n.name, n.exit(), n.lastWords())
			}
		}
		switch {
		case ctx.Err() != nil:
			return 0, fmt.Errorf("%w: %s", ctx.Err(), what)
		case time.Since(from) > within:
			return 0, fmt.Errorf("after %v: %s", within, what)
		}
		time.Sleep(lookEvery)
	}
}

// up are the numbers of the nodes that were not killed.
func (f *fleet) up() (up []int) {
	for i := range f.nodes {
		if !f.down[i].Load() {
			up = append(up, i)
		}
	}
	return up
}
