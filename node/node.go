package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"shoal/console"
	"shoal/coord"
	"shoal/engine"
	"shoal/resp"
	"shoal/ring"
	"shoal/ring/gossip"
	"shoal/wire"
	"shoal/wire/loop"
	"shoal/wire/tcp"
)

// Node is one running member. Make it with Start and end it with Close.
type Node struct {
	opts  Options
	world World
	log   *slog.Logger
	id    identity
	kept  bool // it was a member before this start
	began began

	store     store
	transport *tcp.Transport
	server    *resp.Server
	clients   net.Listener
	console   *console.Server
	metrics   *metrics

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	ready  chan struct{} // closed when the node has a map
	failed chan error    // receives why the node cannot go on
	hurry  chan struct{} // holds a token when slow timers are to become fast ones

	loop    *loop.Loop // nil: there is none
	resumed []*vector  // the loop's own

	shown atomic.Pointer[ring.Map] // the map as others are told it, with the addresses that gossip knows

	mu struct { // held for the execution of a tick, never across a wait for anything but the disk
		sync.Mutex
		ticking bool // somebody will end the tick
		inRound bool // the loop ends its round
		open    bool // something was done since the last tick ended that only step has seen
		company company
		idle    bool // the timers are slow
		notes   notes
		pace    pace   // of repair
		ended   uint64 // operations when the pace was last set

		lazy      []lazyCopies
		lazyTimer *time.Timer
		lazyWaits bool      // it runs, or the loop waits
		lazyBy    time.Time // until when, if it is the loop
		lazyDue   bool      // this tick sends them

		closed bool
		ring   *ring.Map
		coord  *coord.Machine
		repair
		parts    []wire.Part // of repair, in the order in which they are driven
		agree    *ring.Agreement
		vectors  vectors
		token    uint64 // of the last survey
		memory   memory
		outbox   []wire.Out
		byPeer   []coord.Outbox // scratch of sending
		frame    []byte         // scratch of encoding
		gossip   *gossip.Gossip
		up       map[ring.NodeID]bool
		gossiped map[ring.NodeID]gossip.Meta
		skew     skew
		surveys  map[uint64]*survey
		asked    map[ring.NodeID]int64 // when a peer was last asked for its map, unix ms
		replaced map[ring.NodeID]bool  // members that came in the place of others, as far as this boot has seen it
		redial   bool                  // addresses changed: tell the transport outside of the lock
	}
}

// Start opens the folder and the listeners and begins to run. A node that joins is ready later: see Ready.
func Start(opts Options, world World) (*Node, error) {
	if err := opts.fill(); err != nil {
		return nil, err
	}
	n := &Node{opts: opts, world: world, began: begin(world), log: opts.Log.With("node", opts.Name), ready: make(chan struct{}), failed: make(chan error, 1), hurry: make(chan struct{}, 1)}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	if err := n.start(); err != nil {
		_ = n.Close(context.Background())
		return nil, err
	}
	return n, nil
}

func (n *Node) start() error {
	if err := n.openStore(); err != nil {
		return err
	}
	m, err := n.recover()
	if err != nil {
		return err
	}
	n.kept = m != nil
	n.makeMachines()
	if !n.opts.NoLoop {
		n.loop = loop.New(n.endRound)
	}
	n.transport = tcp.New(n.transportConfig())
	if err := n.transport.Start(); err != nil {
		return fmt.Errorf("peer address %s: %w", n.opts.Peer, err)
	}
	if n.clients, err = n.world.Listen(n.opts.Listen); err != nil {
		return fmt.Errorf("client address %s: %w", n.opts.Listen, err)
	}
	n.metrics = newMetrics(n)
	if err := n.startConsole(); err != nil {
		return err
	}
	n.serveClients()
	switch {
	case m != nil:
		err = n.install(m)
	case len(n.id.Seeds) == 0:
		err = n.found()
	default:
		n.spawn(n.join)
	}
	if err != nil {
		return err
	}
	n.spawn(n.timers)
	n.spawn(n.syncs)
	n.spawn(n.askIfMember)
	return nil
}

func (n *Node) spawn(f func()) {
	n.wg.Add(1)
	go func() {
		defer n.wg.Done()
		f()
	}()
}

func (n *Node) openStore() error {
	o := engine.Options{
		Dir: n.opts.Dir, FS: n.world.FS, Durability: n.opts.Durability,
		Now:         n.wall,
		Random:      func() uint32 { return uint32(n.world.Random()) },
		MachineBoot: n.world.MachineBoot,
		Restored:    n.opts.Restored,
		MemoryBytes: n.opts.MemoryBytes,
		CacheBytes:  n.opts.CacheBytes,

		LogKeepBytes: n.opts.LogKeepBytes,

		Log:     n.log,
		OnFatal: n.opts.OnFatal,
	}
	s, err := engine.Open(o)
	if errors.Is(err, engine.ErrUnreadable) && copiesElsewhere(o) {
		n.log.Error("the store is damaged beyond reading: what it holds is put aside, and the replicas are filled from the other members", "dir", o.Dir, "err", err)
		if err := engine.SetAside(o); err != nil {
			return err
		}
		s, err = engine.Open(o)
	}
	if errors.Is(err, engine.ErrUnreadable) {
		return n.unusable("%w", err)
	}
	if err != nil {
		return err
	}
	n.store = store{
		Store: s, log: n.log, seldom: &seldom{},
		renewed:     func(p ring.Partition) { n.mu.puller.Renewed(n.now(), p) },
		partitionOf: func(s ring.Slot) ring.Partition { return n.mu.ring.PartitionOfSlot(s) },
	}
	return nil
}

func (n *Node) makeMachines() {
	n.mu.repair.make(n)
	n.mu.parts = n.mu.repair.parts()
	n.mu.coord = coord.New(coord.Config{
		Self: n.id.Node, R: n.opts.R, W: n.opts.W, Strict: n.opts.Strict,
		Timeout: n.opts.Timeout.Milliseconds(), Hedge: max(1, n.opts.Timeout.Milliseconds()/10),
		SiblingMax: n.opts.SiblingMax, MaxPending: maxPending,
	}, n.store, n.mu.puller.Whole)
	n.mu.coord.ReadFirstUnless(n.mu.puller.Current)
	n.mu.agree = ring.NewAgreement(n.id.Node, nil, n.id.acceptor, n.world.Random())
	n.mu.up = map[ring.NodeID]bool{}
	n.mu.gossiped = map[ring.NodeID]gossip.Meta{}
	n.mu.surveys = map[uint64]*survey{}
	n.mu.asked = map[ring.NodeID]int64{}
	n.mu.replaced = map[ring.NodeID]bool{}
	n.mu.skew.make(n.wall() - n.now())
	n.drifted()
}

// Ready is closed once the node has a ring map and serves data.
func (n *Node) Ready() <-chan struct{} { return n.ready }

// Failed receives the reason when the node cannot go on, for instance because its join was refused.
func (n *Node) Failed() <-chan error { return n.failed }

func (n *Node) fail(err error) {
	select {
	case n.failed <- err:
	default:
	}
}

// timers drives everything that waits for time to pass.
func (n *Node) timers() {
	t := time.NewTimer(tickEvery)
	defer t.Stop()
	busy, due := n.now(), time.Now().Add(tickEvery)
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-t.C:
		case <-n.hurry:
		}
		next := tickEvery
		n.tick(func(now int64) {
			n.setPace(time.Since(due))
			switch more := n.maintain(); {
			case n.mu.coord.Pending() > 0:
				next, busy = hurriedEvery, now
			case more || !n.settled() || n.mu.repair.busy(now):
				busy = now
			case now-busy > idleAfter.Milliseconds():
				next = idleEvery
			}
			n.mu.idle = next == idleEvery
			n.mu.coord.Tick(now)
			for _, part := range n.mu.parts {
				part.Tick(now)
			}
			n.mu.repair.fence()
			n.note(now)
			n.perform(n.mu.agree.Tick(now))
			if now-n.mu.skew.judged >= 1000 {
				n.judgeClock(now)
			}
		})
		n.redial()
		t.Reset(next)
		due = time.Now().Add(next)
	}
}

// setPace gives the machines of repair their share of a tick that came so late. The lock is held.
func (n *Node) setPace(late time.Duration) {
	p99 := int64(0)
	if ended := n.mu.coord.Ended(); ended != n.mu.ended { // else nobody waits, and what was measured last says nothing
		p99, n.mu.ended = n.mu.coord.P99(), ended
	}
	share := n.mu.pace.adjust(late, p99)
	for _, part := range n.mu.parts {
		if x, ok := part.(paced); ok {
			x.Pace(share, fullPace)
		}
	}
}

// settled reports whether nothing is being agreed on or caught up with. The lock is held.
func (n *Node) settled() bool {
	whole, all := n.mu.puller.WholeCount()
	return n.mu.ring != nil && whole == all
}

// maintain does the engine's background work in small pieces, notes when a lost tail has been made good, and reports
// whether there is more to do.
func (n *Node) maintain() (more bool) {
	more, err := n.store.Maintain(maintainRows)
	if err != nil {
		n.log.Error("background work of the store failed", "err", err)
	}
	if n.mu.ring == nil {
		return more
	}
	n.compareDamaged()
	if !n.store.TailMayBeLost() {
		return more
	}
	if whole, all := n.mu.puller.WholeCount(); whole == all {
		if err := n.store.TailRestored(); err != nil {
			n.fatal(err)
		}
	}
	return more
}

// syncs fsyncs what was written each second. With `no` it does so every few seconds, for what other nodes are told
// about durable clocks.
func (n *Node) syncs() {
	if n.opts.Durability == engine.Always {
		return
	}
	every := time.Second
	if n.opts.Durability == engine.No {
		every = 5 * time.Second
	}
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-t.C:
			if err := n.store.Sync(); err != nil && n.ctx.Err() == nil {
				n.fatal(err)
			}
		}
	}
}

// fatal: the disk does not keep what it was given. Going on could acknowledge what is not there.
func (n *Node) fatal(err error) {
	n.log.Error("the disk failed: stopping", "err", err)
	if n.opts.OnFatal != nil {
		n.opts.OnFatal(err)
	}
	n.fail(fmt.Errorf("the disk failed: %w", err))
}

// Close drains and stops: no new clients, running vectors end, then connections and folder are closed. ctx bounds the
// drain.
func (n *Node) Close(ctx context.Context) error {
	var errs []error
	if n.server != nil {
		errs = append(errs, n.server.Close(ctx))
		n.sendLazily()
	}
	n.cancel()
	if n.console != nil {
		errs = append(errs, n.console.Close())
	}
	n.mu.Lock()
	g := n.mu.gossip
	n.mu.gossip = nil
	n.mu.Unlock()
	if g != nil {
		errs = append(errs, g.Close())
	}
	if n.transport != nil {
		n.transport.Close()
	}
	n.wg.Wait()
	n.mu.Lock()
	n.mu.closed = true
	if n.mu.lazyTimer != nil {
		n.mu.lazyTimer.Stop()
	}
	n.mu.vectors.abandon()
	n.tellLoop()
	n.mu.Unlock()
	n.loop.Close()
	if n.store.Store != nil {
		errs = append(errs, n.store.Close())
	}
	if n.clients != nil {
		_ = n.clients.Close()
	}
	return errors.Join(errs...)
}
