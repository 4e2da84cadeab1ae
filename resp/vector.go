package resp

import (
	"slices"
	"sync"

	"shoal/wire"
)

// Bounds of one Backend.Exec call and of what one command may hold.
const (
	vectorOps      = 1024      // operations
	vectorArgBytes = 1 << 20   // keys and values sent along, bytes; a single operation may be larger
	vectorReplies  = 1 << 20   // values coming back, bytes: aimed at, see readCap
	readCapFirst   = 4         // value-returning operations of a connection's first vector, at least
	readCapMost    = 256       // and of any
	commandReplies = 256 << 20 // values held for one command whose keys need several vectors, bytes
)

// Vector gathers the operations of a batch of commands and runs them in as few Backend.Exec calls as order and memory
// allow: an operation on a key that is already in the running vector starts the next one, unless both are the same
// read (see sharing).
//
// The size of values is known only when they are there. A vector therefore holds few value-returning operations at
// first (readCap), more while the values that come back are small, fewer as soon as they are not. At first means: as
// many as would fit if all were like the largest value this server has ever answered (largest).
type Vector struct {
	conn    *Conn
	ops     []wire.Op
	res     []wire.Result
	pending []pending // commands not answered yet, in order
	done    int       // ops[:done] have their results
	keys    keySet    // keys of ops[done:], as far as placed
	reads   int       // value-returning operations among them
	bytes   int       // argument bytes among them
	many    many      // set by the Plan that is running
	shared  []sharing // operations of the running vector that are answered by another one's result
	once    onceOnly
	held    int // reply bytes held for the first pending command
}

// pending is a command that waits for its reply's turn.
type pending struct {
	cmd   *Command
	reply Reply
	err   string // answered instead of reply when not ""
	first int    // its operations are ops[first:last]
	last  int
}

var vectorPool = sync.Pool{New: func() any { return new(Vector) }}

// Add appends an operation of the command being planned. Key, Value and Context may point into the arguments.
func (v *Vector) Add(op wire.Op) { v.ops = append(v.ops, op) }

// next is Add for one key: it returns the new operation, which is zero, to be filled in where it stands.
func (v *Vector) next() *wire.Op {
	n := len(v.ops)
	if n == cap(v.ops) {
		v.ops = slices.Grow(v.ops, 1)
	}
	v.ops = v.ops[:n+1] // what is beyond the length is zero: see forget
	return &v.ops[n]
}

// plan runs a command's Plan and places its operations.
func (v *Vector) plan(cmd *Command, args [][]byte) {
	first := len(v.ops)
	reply, errText := cmd.Plan(v.conn, args, v)
	if errText != "" {
		clear(v.ops[first:])
		v.ops = v.ops[:first]
		v.fail(cmd, errText)
		return
	}
	if v.many.n > 0 {
		v.runMany(cmd, reply)
		return
	}
	if v.expected() > holdFree {
		admitted := false
		if first, admitted = v.admit(first); !admitted {
			clear(v.ops[first:])
			v.ops = v.ops[:first]
			v.fail(cmd, errClientMemory)
			return
		}
	}
	v.pending = append(v.pending, pending{cmd: cmd, reply: reply, first: first, last: len(v.ops)})
	v.place(first)
}

// fail queues an error reply at its place.
func (v *Vector) fail(cmd *Command, errText string) {
	v.pending = append(v.pending, pending{cmd: cmd, err: errText, first: len(v.ops), last: len(v.ops)})
}

// place takes ops[i:] into the running vector and runs it whenever the next one does not fit.
func (v *Vector) place(i int) {
	for ; i < len(v.ops); i++ {
		op := &v.ops[i]
		if i > v.done {
			if i == v.done+1 { // the first key is looked for by a second one only
				first := &v.ops[v.done]
				v.keys.put(v.done, hashKey(first.Key))
			}
			h := hashKey(op.Key)
			same := v.keys.find(v.ops, op.Key, h)
			switch {
			case same >= 0 && i-v.done < vectorOps && sameRead(&v.ops[same], op):
				v.shared = append(v.shared, sharing{at: i - v.done, from: same - v.done})
				continue
			case same < 0 && v.fits(i):
				v.keys.put(i, h)
			default:
				i -= v.run(i)
				if i >= len(v.ops) {
					return
				}
				op = &v.ops[i]
			}
		}
		v.bytes += len(op.Key) + len(op.Value)
		if returnsValue(op.Code) {
			v.reads++
		}
	}
}

// fits reports whether the running vector has room for ops[i].
func (v *Vector) fits(i int) bool { return v.hasRoom(&v.ops[i], i-v.done) }

// hasRoom reports whether one operation more fits into the running vector, which has n.
func (v *Vector) hasRoom(op *wire.Op, n int) bool {
	return n < vectorOps &&
		v.bytes+len(op.Key)+len(op.Value) <= vectorArgBytes &&
		!(returnsValue(op.Code) && v.reads >= v.conn.readCap)
}

func returnsValue(c wire.Code) bool { return c == wire.OpGet || c == wire.OpVGet }

// drain runs what is placed and answers every pending command.
func (v *Vector) drain() {
	v.run(len(v.ops))
}

// run executes ops[done:to], answers the commands that are complete with it, and returns by how much the remaining
// operations moved to the front.
func (v *Vector) run(to int) int {
	if to > v.done {
		v.grow()
		v.exec(v.ops[v.done:to:to], v.res[v.done:to:to])
		v.done = to
	}
	v.keys.clear()
	v.reads, v.bytes = 0, 0
	return v.answer()
}

// grow makes res as long as ops. New results are zero.
func (v *Vector) grow() {
	n := len(v.ops)
	if n > cap(v.res) {
		v.res = slices.Grow(v.res, n-len(v.res))
	}
	v.res = v.res[:n] // what is beyond the length is zero: see forget
}

// exec lets the backend run the running vector.
func (v *Vector) exec(ops []wire.Op, res []wire.Result) {
	if len(v.shared) > 0 {
		v.execShared(ops, res)
		return
	}
	v.conn.exec(ops, res)
	v.learn(res)
}

// learn adapts the number of value-returning operations to the size of the values that came.
func (v *Vector) learn(res []wire.Result) {
	size, most := resultBytes(res)
	v.held += size
	c := v.conn
	c.srv.largest.seen(most)
	c.held.vector = len(v.ops)*holdOp + v.held
	c.settle()
	if v.reads == 0 {
		return
	}
	c.typical = size / v.reads
	fit := v.reads * vectorReplies / max(size, 1)
	if fit < c.readCap {
		c.readCap = max(1, fit)
	} else if v.reads >= c.readCap {
		c.readCap = min(readCapMost, 4*c.readCap, fit)
	}
}

// resultBytes sums the values of results, and finds the most that one of them has.
func resultBytes(res []wire.Result) (sum, most int) {
	for i := range res {
		n := len(res[i].Value)
		for j := range res[i].Siblings {
			n += len(res[i].Siblings[j].Value)
		}
		sum += n
		most = max(most, n)
	}
	return sum, most
}

// answer writes the replies of the commands that have all their results, forgets their operations and returns by how
// much the rest moved to the front. A write error is left in the Writer; the batch stops for it.
func (v *Vector) answer() int {
	if len(v.pending) == 0 {
		return 0
	}
	v.conn.openWriter()
	w, n := &v.conn.w, 0
	for ; n < len(v.pending) && v.pending[n].last <= v.done; n++ {
		v.pending[n].write(w, v.ops, v.res)
	}
	if n > 0 {
		v.held = 0
	}
	if n < len(v.pending) {
		v.tooMuch(n)
	}
	return v.forget(n)
}

func (p *pending) write(w *Writer, ops []wire.Op, res []wire.Result) {
	before := w.errors
	if p.err != "" {
		w.Error(p.err)
	} else {
		p.reply(w, ops[p.first:p.last], res[p.first:p.last])
	}
	if w.errors != before && p.cmd != nil {
		p.cmd.stats.Failed.Add(1)
	}
}

// tooMuch gives up a command in progress when its values have become too many to hold, for one command or for the
// server. Only reads return values, so nothing was changed by the operations it skips.
func (v *Vector) tooMuch(n int) {
	if errText := v.excess(v.pending[n].cmd); errText != "" {
		v.refuse(n, errText)
	}
}

func (v *Vector) refuse(n int, errText string) {
	p := &v.pending[n]
	p.err = errText
	clear(v.res[p.first:v.done])
	clear(v.ops[v.done:])
	v.ops = v.ops[:v.done]
	p.last = v.done
	v.held = 0
}

// forget drops the first n pending commands with their operations.
func (v *Vector) forget(n int) int {
	moved := len(v.ops)
	if n < len(v.pending) {
		moved = v.pending[n].first
	}
	kept := copy(v.ops, v.ops[moved:])
	clear(v.ops[kept:])
	v.ops = v.ops[:kept]
	have := copy(v.res, v.res[min(moved, len(v.res)):])
	clear(v.res[have:])
	v.res = v.res[:have]
	v.done -= moved
	rest := copy(v.pending, v.pending[n:])
	clear(v.pending[rest:])
	v.pending = v.pending[:rest]
	for i := range v.pending {
		v.pending[i].first -= moved
		v.pending[i].last -= moved
	}
	return moved
}

// release gives the vector back, unless one batch made it unusually large.
func (v *Vector) release() {
	if cap(v.ops) > 4*vectorOps || cap(v.pending) > 4*vectorOps {
		return
	}
	clear(v.ops)
	clear(v.res)
	clear(v.pending)
	v.ops, v.res, v.pending, v.shared = v.ops[:0], v.res[:0], v.pending[:0], v.shared[:0]
	v.conn, v.done, v.reads, v.bytes, v.held = nil, 0, 0, 0, 0
	v.keys.clear()
	vectorPool.Put(v)
}
