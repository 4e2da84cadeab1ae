package sim

import (
	"fmt"
	"slices"
	"strconv"

	"shoal/ring"
	"shoal/wire"
)

// operation is one operation of one client.
type operation struct {
	id         int
	code       wire.Code
	key        string
	value      string
	context    []byte
	seen       set // VSET, VDEL: what the context had seen; VGET: what the answered one has
	afterwards set // VSET: what the answered context has seen
	ttl        int64
	client     *client
	node       int
	partition  ring.Partition
	begun      int64
	done       bool
	status     wire.Status
	result     wire.Result
	facts      []*fact
}

// plain reports whether everything that the coordinator held is the context.
func (op *operation) plain() bool { return op.code == wire.OpSet || op.code == wire.OpDel }

// wire is the operation in memory of its own. Value names it, also where the operation has no value: a forwarded
// operation is recognized by it. relative leaves it to the coordinator's clock when the operation's time ends.
func (op *operation) wire(now int64, relative bool) wire.Op {
	x := wire.Op{Code: op.code, Partition: op.partition, Value: []byte(op.value), Context: op.context}
	if op.key != "" {
		x.Key = []byte(op.key)
	}
	if op.ttl != 0 {
		x.TTL, x.At = wire.TTLAbsolute, now+op.ttl
		if relative {
			x.TTL, x.At = wire.TTLRelative, op.ttl
		}
	}
	return x
}

func (w *World) opNamed(value []byte) *operation {
	id, err := strconv.Atoi(string(value[1:]))
	if err != nil || id >= len(w.ops) {
		return nil
	}
	return w.ops[id]
}

// client does one vector of operations at a time.
type client struct {
	index    int
	keys     []string
	node     int // where it is connected
	waiting  int
	contexts []held
}

// held is a context that a client was given.
type held struct {
	key   string
	bytes []byte
	seen  set
}

func (w *World) next(c *client) {
	if w.now >= w.loadEnds {
		return
	}
	if n := w.nodes[c.node]; !n.up || n.disk.ring == nil || w.rand.percent(30) {
		c.node = w.rand.below(len(w.nodes))
	}
	n := w.nodes[c.node]
	if !n.up || n.disk.ring == nil {
		w.push(event{at: w.now + int64(w.rand.between(5, 50)), kind: evClient, node: c.index})
		return
	}
	list := w.draw(c)
	if len(list) == 0 { // its keys rest
		w.push(event{at: w.now + int64(w.rand.between(5, 50)), kind: evClient, node: c.index})
		return
	}
	for _, op := range list {
		op.node, op.begun, op.client = c.node, w.now, c
		w.trace("client %d node %d op %d %s key %s value %s", c.index, c.node, op.id, codeName(op.code), op.key, op.value)
	}
	c.waiting = len(list)
	w.stats.ops += len(list)
	n.take(input{kind: evClient, ops: list})
}

// draw makes one to three operations on different keys.
func (w *World) draw(c *client) []*operation {
	r := w.rand
	if w.cfg.flushes && (w.flushing == nil || w.now > w.flushing.begun+3*w.cfg.timeout) && r.percent(12) {
		op := w.newOp(wire.OpFlush, "")
		op.partition = w.partition(c.keys[r.below(len(c.keys))])
		w.flushing = op
		return []*operation{op}
	}
	keys := slices.DeleteFunc(slices.Clone(c.keys), w.rests)
	var out []*operation
	for range 1 + r.below(20)/17 {
		if len(keys) == 0 {
			break
		}
		i := r.below(len(keys))
		out = append(out, w.drawOne(c, keys[i]))
		keys = slices.Delete(keys, i, i+1)
	}
	return out
}

func (w *World) drawOne(c *client, key string) *operation {
	r := w.rand
	x := r.below(100)
	switch {
	case w.cfg.contexts && x < 12:
		return w.newOp(wire.OpVGet, key)
	case w.cfg.contexts && x < 28:
		code := wire.OpVSet
		if r.percent(25) {
			code = wire.OpVDel
		}
		op := w.newOp(code, key)
		if h := w.pick(c, key); h != nil {
			op.context, op.seen = h.bytes, slices.Clone(h.seen)
		}
		return op
	case w.cfg.expiry && x < 36:
		op := w.newOp(wire.OpExpire, key)
		switch r.below(4) {
		case 0:
			op.code = wire.OpPersist
		case 1:
			op.ttl = -5000
		default:
			if op.ttl = 1_000_000; w.cfg.ages {
				op.ttl = int64(r.between(200, 4000))
			}
		}
		return op
	case x < 65:
		return w.newOp(wire.OpSet, key)
	case x < 75:
		return w.newOp(wire.OpDel, key)
	}
	return w.newOp(wire.OpGet, key)
}

// pick chooses a context of the key: mostly the newest, sometimes an old one, sometimes none.
func (w *World) pick(c *client, key string) *held {
	var mine []*held
	for i := range c.contexts {
		if c.contexts[i].key == key {
			mine = append(mine, &c.contexts[i])
		}
	}
	if len(mine) == 0 || w.rand.percent(10) {
		return nil
	}
	if w.rand.percent(70) {
		return mine[len(mine)-1]
	}
	return mine[w.rand.below(len(mine))]
}

func (w *World) newOp(code wire.Code, key string) *operation {
	op := &operation{id: len(w.ops), code: code, key: key}
	op.value = fmt.Sprintf("v%d", op.id)
	if key != "" {
		op.partition = w.partition(key)
	}
	w.ops = append(w.ops, op)
	return op
}

// finished takes a result to its client.
func (w *World) finished(op *operation, r wire.Result) {
	op.done, op.status, op.result = true, r.Status, r
	w.trace("  op %d -> status %d found %v value %q int %d siblings %d %s", op.id, r.Status, r.Found, r.Value, r.Int, len(r.Siblings), r.Err)
	w.hash(uint64(op.id), uint64(r.Status), uint64(r.Int), uint64(len(r.Siblings)))
	if r.Status == wire.OK {
		w.stats.ok++
	}
	w.oracle.ended(op)
	if w.model != nil {
		w.model.ended(op)
	}
	c := op.client
	if c == nil {
		return
	}
	switch {
	case r.Status == wire.OK && op.code == wire.OpVGet:
		c.contexts = append(c.contexts, held{op.key, r.Context, op.seen})
	case r.Status == wire.OK && op.code == wire.OpVSet:
		c.contexts = append(c.contexts, held{op.key, r.Context, op.afterwards})
	}
	w.released(c)
}

func (w *World) released(c *client) {
	if c.waiting--; c.waiting == 0 {
		w.push(event{at: w.now + int64(w.rand.between(0, 40)), kind: evClient, node: c.index})
	}
}

// disconnected: the node of these operations is gone, and the client will not know what became of them.
func (w *World) disconnected(n *node) {
	for _, op := range w.ops {
		if op.node == n.index && op.begun > 0 && !op.done && op.client != nil {
			op.done, op.status = true, wire.Uncertain
			w.released(op.client)
		}
	}
}

var codeNames = map[wire.Code]string{
	wire.OpGet: "GET", wire.OpVGet: "VGET", wire.OpSet: "SET", wire.OpDel: "DEL", wire.OpExpire: "EXPIRE",
	wire.OpPersist: "PERSIST", wire.OpVSet: "VSET", wire.OpVDel: "VDEL", wire.OpFlush: "FLUSH",
}

func codeName(c wire.Code) string { return codeNames[c] }
