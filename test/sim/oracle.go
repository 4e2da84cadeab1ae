package sim

import (
	"fmt"
	"slices"

	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// set is a set of facts by number.
type set []uint64

func (s set) has(i int) bool { return i/64 < len(s) && s[i/64]&(1<<(i%64)) != 0 }

func (s *set) add(i int) {
	for len(*s) <= i/64 {
		*s = append(*s, 0)
	}
	(*s)[i/64] |= 1 << (i % 64)
}

func (s *set) join(o set) {
	for len(*s) < len(o) {
		*s = append(*s, 0)
	}
	for i, x := range o {
		(*s)[i] |= x
	}
}

// each calls f for the members in order.
func (s set) each(f func(int)) {
	for i, x := range s {
		for b := 0; x != 0; b++ {
			if x&1 != 0 {
				f(i*64 + b)
			}
			x >>= 1
		}
	}
}

// fact is one version that was written: known from the moment its coordinator stores it.
type fact struct {
	n       int
	dot     causal.Dot
	key     string // "" for a flush
	op      *operation
	kind    causal.Kind
	flush   bool
	expires bool
	expiry  int64 // unix ms, 0: none
	value   string
	hlc     uint64
	seen    set // every fact that it had seen, and all that those had seen
	acked   bool
	ackedAt int64
	shown   bool // a read with R owners has shown it
	shownAt int64
	killed  bool // a delete, a flush or a version that can expire has seen it
	reaped  bool
	void    bool          // declared to exist nowhere
	lost    int           // crashes that took it from a place
	broken  set           // nodes that had it durably, may have said so, and had their disk lost or put back
	dropped *causal.Clock // by a flush
	dead    bool          // looked for in the end and not found
}

// gone reports whether the fact itself is the absence of a value.
func (f *fact) gone() bool { return f.flush || f.kind == causal.KindTombstone }

// oracle knows what happened. It compresses nothing: what a write had seen is the set of versions that lay in front
// of it, and what those had seen. Vectors and clocks are never asked, with one exception that is named at flush.
type oracle struct {
	w          *World
	facts      []*fact
	allFlushes []*fact
	byDot      map[causal.Dot]*fact
	byValue    map[string][]*fact
	// contexts: what stood in rows beside the listed siblings when a context of this text was made
	beside map[string]set
	maps   map[uint64]string
}

func newOracle(w *World) *oracle {
	return &oracle{
		w: w, byDot: map[causal.Dot]*fact{}, byValue: map[string][]*fact{},
		beside: map[string]set{}, maps: map[uint64]string{},
	}
}

func (o *oracle) closure(f *fact, into *set) {
	into.join(f.seen)
	into.add(f.n)
}

// flushes are the flushes that a replica has taken in: what they dropped, they had seen.
func (o *oracle) flushes(r *replica) (out []*fact) {
	if r.Flushed.IsZero() {
		return nil
	}
	for _, f := range o.allFlushes { // its log entry may be trimmed
		if r.Clock.Contains(f.dot) && r.Flushed.Covers(f.dropped) {
			out = append(out, f)
		}
	}
	return out
}

// looked notes what a row held besides live values: whoever gets its vector as a context has seen that too.
func (o *oracle) looked(d *disk, p ring.Partition, key string, row causal.Container) {
	if !o.w.cfg.contexts || len(row.Vector) == 0 {
		return
	}
	flushes := o.flushes(d.live[p])
	hidden := slices.ContainsFunc(row.Versions, func(v causal.Version) bool { return v.Kind == causal.KindTombstone || v.Expiry != 0 })
	if !hidden && len(flushes) == 0 {
		return
	}
	name := contextName(key, causal.Context{Vector: row.Vector})
	s := o.beside[name]
	for i := range row.Versions {
		if v := &row.Versions[i]; v.Kind == causal.KindTombstone || v.Expiry != 0 {
			if f := o.byDot[v.Dot]; f != nil {
				o.closure(f, &s)
			}
		}
	}
	for _, f := range flushes {
		o.closure(f, &s)
	}
	o.beside[name] = s
}

func contextName(key string, ctx causal.Context) string {
	return key + "\x00" + string(ctx.Append(nil))
}

// contextSeen is what the holder of a context that VGET answered has seen.
func (o *oracle) contextSeen(key string, context []byte, listed []wire.Sibling) set {
	var s set
	for i := range listed {
		if f := o.byDot[listed[i].Dot]; f != nil {
			o.closure(f, &s)
		}
	}
	if len(context) > 16 {
		s.join(o.beside[key+"\x00"+string(context[:len(context)-16])])
	}
	return s
}

// put is told of every row that a node stores.
func (o *oracle) put(d *disk, p ring.Partition, key []byte, before, after causal.Container, dots []causal.Dot) {
	r := d.live[p]
	for _, dot := range dots {
		op := o.w.nodes[d.node].opOf(key)
		if dot.Actor == r.Life && (o.byDot[dot] == nil || op != nil && o.byDot[dot].op != op) {
			o.create(d, r, op, string(key), dot, before, after)
		}
	}
	o.checkVersions(d, string(key), after)
	o.checkRow(d, r, string(key), before, after)
}

// create learns of a new version from the coordinator's own store.
func (o *oracle) create(d *disk, r *replica, op *operation, key string, dot causal.Dot, before, after causal.Container) {
	v := after.Find(dot)
	if op == nil || v == nil {
		o.w.fail("invention: node %d stores its own new dot %s of key %s outside of an operation", d.node, o.name(dot), key)
		return
	}
	if f := o.byDot[dot]; f != nil {
		o.w.fail("dot issued twice: %s of op %d (%s) and again by op %d on node %d", o.name(dot), f.op.id, f.value, op.id, d.node)
		return
	}
	f := &fact{
		n: len(o.facts), dot: dot, key: key, op: op, kind: v.Kind, value: string(v.Payload), hlc: v.HLC,
		expires: v.Expiry != 0, expiry: v.Expiry,
	}
	for _, x := range o.flushes(r) {
		o.closure(x, &f.seen)
	}
	o.checkNotYetDropped(f, op.partition)
	switch op.code {
	case wire.OpExpire, wire.OpPersist:
		o.seeSame(f, before, after, v)
	case wire.OpVSet, wire.OpVDel:
		f.seen.join(op.seen)
		o.checkDiscarded(d, f, before, after)
	default:
		for i := range before.Versions {
			if x := o.byDot[before.Versions[i].Dot]; x != nil {
				o.closure(x, &f.seen)
			}
		}
	}
	o.add(f)
	o.w.nodes[d.node].fresh = append(o.w.nodes[d.node].fresh, dot)
	if len(op.facts) > 1 && op.code != wire.OpExpire && op.code != wire.OpPersist {
		o.w.fail("one operation, two dots: op %d made %d", op.id, len(op.facts))
	}
}

// seeSame: a change of expiry replaces versions with the same value only; one into the past deletes them all.
func (o *oracle) seeSame(f *fact, before, after causal.Container, v *causal.Version) {
	for i := range before.Versions {
		b := &before.Versions[i]
		if after.Find(b.Dot) != nil {
			continue
		}
		if v.Kind == causal.KindTombstone || string(b.Payload) == string(v.Payload) && b.Kind == v.Kind {
			if x := o.byDot[b.Dot]; x != nil {
				o.closure(x, &f.seen)
			}
		}
	}
}

// flush learns of a range tombstone. What it had seen is what its clock names, and clocks are exact sets of dots
// (package causal tests them against explicit sets); that some replica has processed each is checked here.
func (o *oracle) flush(d *disk, p ring.Partition, dot causal.Dot, dropped *causal.Clock) {
	if f := o.byDot[dot]; f != nil {
		o.checkDropped(d, f, dropped)
		return
	}
	f := &fact{n: len(o.facts), dot: dot, op: o.w.flushing, flush: true, kind: causal.KindTombstone, dropped: dropped}
	if f.op == nil || d.live[p].Life != dot.Actor {
		o.w.fail("invention: node %d stores a flush that nobody asked for", d.node)
		return
	}
	for _, x := range o.facts {
		if dropped.Contains(x.dot) {
			o.closure(x, &f.seen)
			if x.lost == 0 && !o.processedSomewhere(p, x.dot) { // an owner may lose what its clock told when it was asked
				o.w.fail("flush drops the unseen: %s, which no owner has processed", o.name(x.dot))
			}
		}
	}
	o.add(f)
}

// checkDropped proves that a flush drops, wherever it arrives, only what it had seen.
func (o *oracle) checkDropped(d *disk, f *fact, dropped *causal.Clock) {
	for _, x := range o.facts {
		if dropped.Contains(x.dot) && !f.seen.has(x.n) {
			o.w.fail("flush drops the unseen: %s (%s) on node %d, flush %s of op %d had not seen it",
				o.name(x.dot), x.value, d.node, o.name(f.dot), f.op.id)
		}
	}
}

// checkNotYetDropped proves that no flush drops what is written after it.
func (o *oracle) checkNotYetDropped(f *fact, p ring.Partition) {
	for _, n := range o.w.nodes {
		if r := n.disk.live[p]; r != nil && r.Flushed.Contains(f.dot) {
			o.w.fail("flush drops the unseen: %s is new, and node %d drops it already", o.name(f.dot), n.index)
		}
	}
}

func (o *oracle) processedSomewhere(p ring.Partition, dot causal.Dot) bool {
	for _, n := range o.w.nodes {
		if r := n.disk.live[p]; r != nil && r.Clock.Contains(dot) {
			return true
		}
	}
	return false
}

func (o *oracle) add(f *fact) {
	o.facts = append(o.facts, f)
	o.byDot[f.dot] = f
	if f.flush {
		o.allFlushes = append(o.allFlushes, f)
	}
	if f.value != "" {
		o.byValue[f.value] = append(o.byValue[f.value], f)
	}
	f.op.facts = append(f.op.facts, f)
	if f.op.done && f.op.status != wire.OK && f.op.status != wire.Uncertain {
		o.w.fail("written after a refusal: op %d was answered with status %d and wrote %s", f.op.id, f.op.status, o.name(f.dot))
	}
	if f.gone() || f.expires {
		f.seen.each(func(i int) { o.facts[i].killed = true })
	}
	o.w.trace("  fact %d: %s op %d key %s value %q seen %v", f.n, o.name(f.dot), f.op.id, f.key, f.value, f.seen.list())
}

// reap notes that a tombstone and what it had seen are over for good: every owner has it durably.
func (o *oracle) reap(f *fact) {
	f.reaped = true
	f.seen.each(func(i int) { o.facts[i].reaped = true })
}

func (s set) list() (out []int) {
	s.each(func(i int) { out = append(out, i) })
	return out
}

// name writes a dot as the node of its life, the life's number there, and seq.
func (o *oracle) name(d causal.Dot) string {
	if l, ok := o.w.lives[d.Actor]; ok {
		return fmt.Sprintf("%c%d:%d", 'A'+l.node, l.n, d.Seq)
	}
	return fmt.Sprintf("?%x:%d", uint64(d.Actor), d.Seq)
}

func (o *oracle) names(c causal.Container) string {
	s := "{"
	for i := range c.Versions {
		s += o.name(c.Versions[i].Dot)
		if c.Versions[i].Kind == causal.KindTombstone {
			s += "†"
		}
		s += " "
	}
	s += "|"
	for _, d := range c.Vector {
		s += " " + o.name(d)
	}
	return s + "}"
}
