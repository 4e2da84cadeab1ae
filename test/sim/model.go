package sim

import (
	"slices"

	"shoal/wire"
)

// model is Redis: what one client per key must see in a world without faults (G4).
type model struct {
	w    *World
	live map[string][]*fact // in the order in which they were written
}

func newModel(w *World) *model { return &model{w: w, live: map[string][]*fact{}} }

// ended proves that, without a fault, a client that waits for its answers sees exactly Redis through any node: no
// error, the last value set, one version, and with VSET exactly the siblings that its contexts left.
func (m *model) ended(op *operation) {
	r, was := &op.result, m.live[op.key]
	if op.status != wire.OK {
		m.w.fail("error without a fault: op %d %s was answered with status %d %s", op.id, codeName(op.code), op.status, r.Err)
		return
	}
	switch op.code {
	case wire.OpGet:
		if r.Found != (len(was) > 0) || r.Found && string(r.Value) != was[len(was)-1].value {
			m.w.fail("not Redis: GET op %d of %s answers %v %q, live are %s", op.id, op.key, r.Found, r.Value, m.names(was))
		}
	case wire.OpVGet:
		same := len(r.Siblings) == len(was)
		for i := range r.Siblings {
			same = same && slices.ContainsFunc(was, func(f *fact) bool { return f.dot == r.Siblings[i].Dot })
		}
		if !same {
			m.w.fail("not Redis: VGET op %d of %s lists %d values, live are %s", op.id, op.key, len(r.Siblings), m.names(was))
		}
	case wire.OpFlush:
		for _, key := range m.w.keys {
			if m.w.partition(key) == op.partition {
				m.live[key] = nil
			}
		}
	case wire.OpSet:
		m.live[op.key] = op.facts
	case wire.OpDel:
		m.count(op, min(1, len(was)))
		m.live[op.key] = nil
	default:
		m.context(op, was)
	}
}

func (m *model) context(op *operation, was []*fact) {
	var left []*fact
	for _, x := range was {
		if !slices.ContainsFunc(op.facts, func(f *fact) bool { return f.seen.has(x.n) }) {
			left = append(left, x)
		}
	}
	switch op.code {
	case wire.OpVDel:
		m.count(op, len(was)-len(left))
	case wire.OpExpire:
		m.count(op, min(1, len(was)))
	}
	for _, f := range op.facts {
		if !f.gone() {
			left = append(left, f)
		}
	}
	m.live[op.key] = left
}

func (m *model) count(op *operation, want int) {
	if op.result.Int != int64(want) {
		m.w.fail("not Redis: %s op %d of %s answers %d instead of %d", codeName(op.code), op.id, op.key, op.result.Int, want)
	}
}

func (m *model) names(list []*fact) (out string) {
	for _, f := range list {
		out += m.w.oracle.name(f.dot) + "=" + f.value + " "
	}
	return out
}
