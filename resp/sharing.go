package resp

import (
	"slices"

	"shoal/wire"
)

// sharing says that operation at of the running vector is not executed: it gets the result of operation from, the same
// read of the same key. All of a pipeline is under way at once, so its reads may be taken to happen at one time; a write
// to the key between them would have started another vector. Both count from the vector's first operation, and at grows
// from one to the next.
type sharing struct{ at, from int }

// onceOnly holds the operations of a vector that are executed, when not all are.
type onceOnly struct {
	ops []wire.Op
	res []wire.Result
}

// sameRead reports whether one result answers both operations, which are on one key.
func sameRead(a, b *wire.Op) bool {
	return a.Code == b.Code && a.ReadOne == b.ReadOne && a.Code.Keyed() && !a.Code.Write()
}

// execShared runs the operations that are not answered by others, and spreads the results.
func (v *Vector) execShared(ops []wire.Op, res []wire.Result) {
	o := &v.once
	shared := v.shared
	for i := range ops {
		if len(shared) > 0 && shared[0].at == i {
			shared = shared[1:]
			continue
		}
		o.ops = append(o.ops, ops[i])
	}
	o.res = slices.Grow(o.res, len(o.ops))[:len(o.ops)]
	v.conn.exec(o.ops, o.res)
	v.learn(o.res)
	shared = v.shared
	next := 0
	for i := range res {
		if len(shared) > 0 && shared[0].at == i {
			res[i] = res[shared[0].from]
			shared = shared[1:]
			continue
		}
		res[i] = o.res[next]
		next++
	}
	clear(o.ops)
	clear(o.res)
	o.ops, o.res, v.shared = o.ops[:0], o.res[:0], v.shared[:0]
}
