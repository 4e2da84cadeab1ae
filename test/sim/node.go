package sim

import (
	"slices"

	"shoal/antientropy"
	"shoal/causal"
	"shoal/coord"
	"shoal/handoff"
	"shoal/ring"
	"shoal/wire"
)

// node is one member: a disk that outlives boots, and what a boot makes.
type node struct {
	w      *World
	index  int
	id     ring.NodeID
	member ring.Member
	offset int64 // of its clock, ms, always
	drift  int64 // ... by which it has jumped, at the moment
	jumps  uint16
	off    bool // it knows that its clock is off
	disk   *disk

	life     int // boot number; 0 before the first
	up       bool
	lostTail bool // by the last stop
	machine  *coord.Machine
	puller   *antientropy.Puller
	comparer *antientropy.Comparer
	keeper   *handoff.Machine
	reaper   *antientropy.Reaper
	closer   *antientropy.Closer
	actor    causal.Actor                 // the incarnation: the life of the first replica, if the boot finds it
	fenced   map[causal.Actor]bool        // incarnations whose frames are not taken
	boots    map[ring.NodeID]causal.Actor // of the peers, as last connected
	parts    []wire.Part
	agree    *ring.Agreement
	session  []int // by peer: the connection that stands in this node's eyes, 0 for none
	inbox    []input
	working  bool                     // the end of the tick is planned
	waiting  map[uint64][]*operation  // by token
	opAt     map[*byte]*operation     // by the memory of its key: the machine hands that to the store
	asked    map[question]extendedKey // what was sent, for planted bugs
	standIns map[uint64][]int         // who was asked to keep a hint, for a planted bug
	outbox   []coord.Outbox
	own      []antientropy.Out // items of the node's own
	scratch  []byte
	fresh    []causal.Dot // dots that this tick made
	refiller *antientropy.Refiller
	known    []ring.NodeID // by peer: who was at the other end of the newest connection
	backup   state         // a copy of what was synced at some time, nil: none
}

type question struct {
	peer int
	id   uint64
}

type extendedKey struct {
	partition ring.Partition
	slot      ring.Slot
	key       []byte
}

// input is what a tick takes in.
type input struct {
	kind  eventKind
	peer  int
	frame []byte
	twice bool
	actor causal.Actor // evUp, evFrame: the peer's incarnation
	ops   []*operation
	id    ring.NodeID // evUp: the peer's
}

// now is the node's own time, which never jumps; wall is what its clock shows.
func (n *node) now() int64 {
	if bug(TimersByClock) {
		return n.wall()
	}
	return n.w.now + epochMs + n.offset
}

func (n *node) wall() int64 { return n.w.now + epochMs + n.offset + n.drift }

const epochMs = 1_700_000_000_000

// boot makes the machines on what the disk has. lost says whether a tail may have been lost since the last one.
func (n *node) boot(lost bool) {
	w, d := n.w, n.disk
	n.life++
	n.up = true
	n.session, n.known = make([]int, len(w.nodes)), make([]ring.NodeID, len(w.nodes))
	n.inbox, n.working, n.own = nil, false, nil
	n.waiting, n.opAt = map[uint64][]*operation{}, map[*byte]*operation{}
	n.asked, n.standIns = map[question]extendedKey{}, map[uint64][]int{}
	n.actor, n.fenced = w.newLife(n.index), map[causal.Actor]bool{}
	n.boots = map[ring.NodeID]causal.Actor{}
	d.suspect = d.suspect || lost
	if bug(WholeByBoot) {
		d.suspect = lost
	}
	if bug(AcceptorForgets) {
		d.acceptor = ring.AcceptorState{}
	}
	n.puller = antientropy.New(antientropy.Config{
		Self: n.id, Every: w.cfg.every, Retry: 300, W: w.cfg.w, MaxEntries: w.cfg.entries, MaxBytes: 1 << 16, MaxAsked: 64,
	}, d)
	n.comparer = antientropy.NewComparer(antientropy.CompareConfig{
		Self: n.id, Every: w.cfg.compares, First: w.cfg.compares, Retry: w.cfg.compares/2 + 50, Timeout: 1500,
		TickRows: 3, MaxKeys: 2, MaxBytes: 200, Batch: 2, MaxRepairs: 3,
	}, d)
	n.keeper = handoff.New(w.cfg.handoff(n.id), d)
	n.reaper = antientropy.NewReaper(antientropy.ReapConfig{Self: n.id, Every: w.cfg.reapEvery, Partitions: 2, Rows: 10}, d, n.puller)
	n.closer = antientropy.NewCloser(antientropy.CloseConfig{
		Self: n.id, Incarnation: n.actor, Every: w.cfg.closeAfter / 4, After: w.cfg.closeAfter, Timeout: 1000, Rows: 2, Partitions: 2, Actors: 3,
	}, d, n.puller.Lives(), n.reaper.Blocking, n.keeper.Held)
	n.refiller = antientropy.NewRefiller(antientropy.FillConfig{
		Self: n.id, Retry: 300, Repeat: 1000, MaxFills: 2, MaxRows: w.cfg.ranges, MaxBytes: 1 << 12, TickRows: 3,
	}, d, n.puller)
	n.parts = []wire.Part{n.puller, n.comparer, n.keeper, n.refiller, n.reaper, n.closer}
	whole := n.puller.Whole
	if bug(NotWholeCounts) {
		whole = func(ring.Partition) bool { return true }
	}
	cfg := coord.Config{
		Self: n.id, R: w.cfg.r, W: w.cfg.w, Strict: w.cfg.strict, Timeout: w.cfg.timeout, Hedge: w.cfg.hedge,
		SiblingMax: 20, MaxPending: 1000,
	}
	if bug(AnsweredBeforeW) {
		cfg.W = 1
	}
	n.machine = coord.New(cfg, d, whole)
	n.machine.ReadFirstUnless(n.puller.Current)
	n.bootClock()
	n.agree = ring.NewAgreement(n.id, d.ring, d.acceptor, w.rand.uint64())
	for p, r := range d.live[:w.cfg.q] {
		if r != nil {
			if p == 0 { // the oracle wants dots to differ between partitions
				d.beginAs(0, n.actor)
			} else {
				d.begin(ring.Partition(p))
			}
		}
	}
	if d.ring != nil {
		n.install(d.ring, !d.suspect)
	}
	w.push(event{at: w.now + int64(w.rand.between(1, timerEvery)), kind: evTimer, node: n.index, life: n.life})
	w.push(event{at: w.now + int64(w.rand.between(1, int(w.cfg.syncs))), kind: evSync, node: n.index, life: n.life})
}

const timerEvery = 20

// install makes m the map and makes the replicas that it asks for. trusted says whether the replicas that are there
// lost nothing; one that is made by a map is not whole before it has pulled, unless there was nobody to pull from.
func (n *node) install(m *ring.Map, trusted bool) {
	n.w.oracle.decided(m.Epoch, string(m.Append(nil)), n.index)
	was := map[ring.Partition]bool{}
	for i := range m.Q {
		p := ring.Partition(i)
		if m.Position(p, n.id) < 0 {
			continue
		}
		if n.disk.live[p] == nil && antientropy.MadeFilling(m, n.disk.replaces) {
			if err := n.disk.Fill(p, true); err != nil {
				panic(err)
			}
		} else if n.disk.live[p] == nil {
			n.disk.begin(p)
		} else {
			was[p] = trusted
		}
	}
	n.machine.Install(m)
	n.comparer.Install(n.now(), m)
	n.keeper.Install(n.now(), m)
	n.puller.Install(n.now(), m, func(p ring.Partition) bool { return was[p] })
	n.refiller.Install(n.now(), m)
	n.reaper.Install(n.now(), m)
	n.closer.Install(m)
}

// adopt takes a newer map: durable first.
func (n *node) adopt(m *ring.Map) {
	if n.disk.ring != nil && m.Epoch <= n.disk.ring.Epoch {
		return
	}
	n.w.trace("  node %d has map %d", n.index, m.Epoch)
	whole := !n.disk.suspect
	n.disk.ring = m
	n.install(m, whole)
	n.perform(n.agree.Install(m))
	for _, x := range n.w.nodes {
		n.w.mayConnect(n, x)
	}
}

func (n *node) perform(e ring.AgreeEffects) {
	if e.Persist != nil {
		n.disk.acceptor = *e.Persist
		n.w.accepted(n, e.Persist)
	}
	for _, s := range e.Sends {
		n.own = append(n.own, antientropy.Out{To: s.To, Item: wire.Item{Kind: wire.ItemAgree, Blob: s.Msg.Append(nil)}})
	}
	if e.Decided != nil {
		m := e.Decided
		n.adopt(m)
		for _, x := range m.Members {
			if x.ID != n.id {
				n.own = append(n.own, antientropy.Out{To: x.ID, Item: wire.Item{Kind: wire.ItemMap, Blob: m.Append(nil)}})
			}
		}
	}
}

// take queues an input and opens a tick if none is open.
func (n *node) take(in input) {
	n.inbox = append(n.inbox, in)
	if !n.working {
		n.working = true
		n.w.push(event{at: n.w.now + int64(n.w.rand.below(2)), kind: evWork, node: n.index, life: n.life})
	}
}

// work is one tick: the inputs, the machines' own time, the end of the store's tick, and only then what leaves.
func (n *node) work(timer bool) {
	n.working = false
	now := n.now()
	n.fresh = n.fresh[:0]
	for i := range n.inbox {
		n.input(now, &n.inbox[i])
	}
	clear(n.inbox)
	n.inbox = n.inbox[:0]
	if timer {
		n.machine.Tick(now)
		for _, part := range n.parts {
			part.Tick(now)
		}
		n.fence()
		n.perform(n.agree.Tick(now))
		if n.w.cfg.flushes && n.w.rand.percent(5) {
			n.disk.bury()
		}
		if n.w.cfg.wild && n.w.rand.percent(2) { // there a frame is lost and the connection stays
			for peer, s := range n.session {
				if s != 0 {
					n.tell(peer)
				}
			}
		}
	}
	if n.disk.suspect && n.allWhole() {
		n.disk.sync() // what was pulled must not be lost while the mark that it is missing is gone
		n.disk.suspect = false
	}
	n.disk.endTick()
	if bug(NotWrittenBack) {
		n.acknowledgeUnsent()
	}
	n.send()
	n.deliver()
	n.machine.Reset()
	for _, part := range n.parts {
		part.Reset()
	}
}

func (n *node) allWhole() bool {
	whole, all := n.puller.WholeCount()
	return n.disk.ring != nil && whole == all
}

func (n *node) input(now int64, in *input) {
	switch in.kind {
	case evUp:
		n.known[in.peer] = in.id
		n.machine.Up(in.id)
		n.boots[in.id] = in.actor
		n.closer.Connected(in.id, in.actor)
		for _, part := range n.parts {
			part.Up(now, in.id)
		}
		n.tell(in.peer)
	case evDown:
		id := n.known[in.peer]
		n.machine.Down(now, id)
		for _, part := range n.parts {
			part.Down(now, id)
		}
		n.own = slices.DeleteFunc(n.own, func(o antientropy.Out) bool { return o.To == id })
	case evJudge:
		n.judgeClock(now)
	case evClient:
		n.exec(now, in.ops)
	case evFrame:
		n.frame(now, in)
	}
}

// tell lets a peer see the epoch of this node's map: whoever is behind asks for the other's.
func (n *node) tell(peer int) {
	n.own = append(n.own, antientropy.Out{To: n.known[peer], Item: wire.Item{Kind: wire.ItemMap}})
}

func (n *node) exec(now int64, list []*operation) {
	n.w.token++
	n.waiting[n.w.token] = list
	ops := make([]wire.Op, len(list))
	for i, op := range list {
		ops[i] = op.wire(n.wall(), n.w.cfg.jumps > 0)
		if op.key != "" {
			n.opAt[&ops[i].Key[0]] = op
		}
	}
	n.machine.Exec(now, n.w.token, ops)
}

// opOf finds the operation that a key's memory belongs to.
func (n *node) opOf(key []byte) *operation { return n.opAt[&key[0]] }

func (n *node) frame(now int64, in *input) {
	h, items, err := wire.DecodeFrame(in.frame)
	if err != nil {
		n.w.fail("frame: node %d cannot decode a frame of node %d: %v", n.index, in.peer, err)
		return
	}
	if n.fenced[in.actor] && !bug(ClosedWithoutFence) {
		return
	}
	from := n.known[in.peer]
	if m := n.disk.ring; m != nil && h.Epoch > m.Epoch {
		n.tell(in.peer)
	}
	for i := range items {
		it := &items[i]
		if it.Kind == wire.ItemOp {
			if in.twice { // a second evaluation would be a second write; TCP does not do that
				it.Kind = wire.ItemInvalid
				continue
			}
			if it.Op.Code.Keyed() {
				n.opAt[&it.Op.Key[0]] = n.w.opNamed(it.Op.Value)
			}
		}
		n.mangleIn(in.peer, it)
	}
	n.machine.Heard(now, from, h.HLC)
	n.machine.PassOver(from, h.Capabilities&wire.CapPassOver != 0)
	n.machine.Step(now, from, items)
	for _, part := range n.parts {
		part.Step(now, from, items)
	}
	n.fence()
	for i := range items {
		n.handle(now, from, &items[i])
	}
}

// fence notes whose frames a closing forbids.
func (n *node) fence() {
	for _, a := range n.closer.Fenced() {
		n.fenced[a] = true
	}
}

func (n *node) handle(now int64, from ring.NodeID, it *wire.Item) {
	switch it.Kind {
	case wire.ItemMap:
		if len(it.Blob) == 0 {
			if n.disk.ring != nil {
				n.own = append(n.own, antientropy.Out{To: from, Item: wire.Item{Kind: wire.ItemMap, Blob: n.disk.ring.Append(nil)}})
			}
			return
		}
		m, err := ring.DecodeMap(it.Blob)
		if err != nil {
			n.w.fail("frame: node %d cannot decode a map: %v", n.index, err)
			return
		}
		n.adopt(m)
	case wire.ItemAgree:
		msg, err := ring.DecodeAgreeMsg(it.Blob)
		if err != nil {
			n.w.fail("frame: node %d cannot decode an agreement message: %v", n.index, err)
			return
		}
		n.perform(n.agree.Step(now, from, msg))
	}
}

// send encodes what the machines have for each peer.
func (n *node) send() {
	boxes := n.outbox[:0]
	for _, o := range n.machine.Effects().Peers {
		if len(o.Items) > 0 {
			boxes = append(boxes, o)
		}
	}
	own := len(boxes)
	add := func(o antientropy.Out) {
		i := slices.IndexFunc(boxes[own:], func(b coord.Outbox) bool { return b.To == o.To })
		if i < 0 {
			boxes = append(boxes, coord.Outbox{To: o.To})
			i = len(boxes) - own - 1
		}
		boxes[own+i].Items = append(boxes[own+i].Items, o.Item)
	}
	for _, part := range n.parts {
		for _, o := range part.Outs() {
			if o.Item.Kind == wire.ItemClose {
				n.w.oracle.closed(&o.Item)
			}
			add(o)
		}
	}
	for _, o := range n.own {
		add(o)
	}
	n.own = n.own[:0]
	h := wire.Header{HLC: uint64(n.wall())<<16 | uint64(n.jumps)}
	if n.off {
		h.Capabilities |= wire.CapPassOver
	}
	if n.disk.ring != nil {
		h.Epoch = n.disk.ring.Epoch
	}
	for _, o := range boxes {
		peer := slices.Index(n.known, o.To)
		if peer < 0 || n.session[peer] == 0 {
			continue
		}
		items := n.mangleOut(peer, o.Items)
		n.scratch = wire.AppendFrames(n.scratch, h, wire.Encoded{}, items, 1<<14, 0, func(frame []byte) {
			n.w.transmit(n, peer, slices.Clone(frame))
		})
	}
	clear(boxes)
	n.outbox = boxes[:0]
}

func (n *node) deliver() {
	for _, d := range n.machine.Effects().Done {
		list := n.waiting[d.Token]
		if d.Index >= len(list) {
			n.w.fail("answered nobody: node %d has a result for a vector that none of its clients sent", n.index)
			continue
		}
		op := list[d.Index]
		if op.done {
			n.w.fail("answered twice: op %d", op.id)
			continue
		}
		n.w.finished(op, d.Result)
	}
}
