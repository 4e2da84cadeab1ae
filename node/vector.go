package node

import (
	"sync"

	"shoal/wire"
	"shoal/wire/loop"
)

// vector is a client's operations under way.
type vector struct {
	out  []wire.Result
	at   []int // where the i-th operation's result goes; nil: to out[i]
	left int
	done chan struct{} // holds a token when left is 0
	task *loop.Conn    // of the client, if a loop serves it: resumed when left is 0, instead of done
}

var vectorPool = sync.Pool{New: func() any { return &vector{done: make(chan struct{}, 1)} }}

// put takes in the result of one operation and reports whether it was the last.
func (v *vector) put(index int, r *wire.Result) bool {
	if v.at != nil {
		index = v.at[index]
	}
	v.out[index] = *r
	v.left--
	return v.left == 0
}

func (v *vector) abandon() {
	for i := range v.out {
		v.out[i] = wire.Result{Status: wire.Failed, Err: "UNCERTAIN the node is stopping; a write may or may not be applied"}
	}
}

// vectors are those under way, by token: a place in the list, and above it how often the place was used.
type vectors struct {
	list []struct {
		*vector
		token uint64
	}
	free  []int
	ended []*vector // whose tasks the loop must resume
}

const placeBits = 32

// add returns the vector's token.
func (x *vectors) add(v *vector) uint64 {
	if len(x.free) == 0 {
		x.free = append(x.free, len(x.list))
		x.list = append(x.list, struct {
			*vector
			token uint64
		}{token: uint64(len(x.list))})
	}
	i := x.free[len(x.free)-1]
	x.free = x.free[:len(x.free)-1]
	x.list[i].vector = v
	x.list[i].token += 1 << placeBits
	return x.list[i].token
}

// put takes in a result and wakes the client if it was the vector's last.
func (x *vectors) put(token uint64, index int, r *wire.Result) {
	i := int(token & (1<<placeBits - 1))
	if i >= len(x.list) || x.list[i].token != token || x.list[i].vector == nil {
		return
	}
	if v := x.list[i].vector; v.put(index, r) {
		x.list[i].vector = nil
		x.free = append(x.free, i)
		x.end(v)
	}
}

// end lets the client go on.
func (x *vectors) end(v *vector) {
	if v.task != nil {
		x.ended = append(x.ended, v)
		return
	}
	v.done <- struct{}{}
}

// abandon ends every vector.
func (x *vectors) abandon() {
	for i := range x.list {
		if v := x.list[i].vector; v != nil {
			v.abandon()
			x.end(v)
		}
	}
	*x = vectors{ended: x.ended}
}

// Exec runs a client's vector and waits for its results: see resp.Backend. Until then ops and their bytes belong to
// the node.
func (n *Node) Exec(ops []wire.Op, out []wire.Result) {
	if len(ops) == 0 {
		return
	}
	v := vectorPool.Get().(*vector)
	v.out, v.left = out, len(ops)
	later := false
	n.tick(func(now int64) { later = n.begin(now, v, ops) })
	if later {
		<-v.done
	}
	v.release()
}

// begin takes a vector into the tick, and reports whether results of it come later. The lock is held.
func (n *Node) begin(now int64, v *vector, ops []wire.Op) (later bool) {
	if n.mu.closed {
		v.abandon()
		return false
	}
	if n.full() {
		if ops, v.at = n.refuseOps(v, ops); len(ops) == 0 {
			return false
		}
		v.left = len(ops)
	}
	n.mu.coord.Exec(now, n.mu.vectors.add(v), ops)
	return true
}

func (v *vector) release() {
	v.out, v.at, v.task = nil, nil, nil
	vectorPool.Put(v)
}
