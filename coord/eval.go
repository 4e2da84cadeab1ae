package coord

import (
	"slices"

	"shoal/causal"
	"shoal/wire"
)

// evalRead is the operation's answer on a row at now, which here and below is by the wall clock.
func (m *Machine) evalRead(now int64, op *wire.Op, row causal.Container) wire.Result {
	v := row.Shown(now)
	r := wire.Result{Found: v != nil}
	switch op.Code {
	case wire.OpGet:
		if v != nil {
			r.Value, r.Kind = v.Payload, v.Kind
		}
	case wire.OpStrlen:
		if v != nil {
			r.Int, r.Kind = int64(len(v.Payload)), v.Kind
		}
	case wire.OpExists:
		if v != nil {
			r.Int = 1
		}
	case wire.OpType:
		if v != nil {
			r.Kind = v.Kind
		}
	case wire.OpExpiry:
		switch {
		case v == nil:
			r.Int = wire.ExpiryMissing
		case v.Expiry == 0:
			r.Int = wire.ExpiryNone
		case op.TTL == wire.TTLRelative:
			r.Int = max(0, v.Expiry-now)
		default:
			r.Int = v.Expiry
		}
	case wire.OpSiblings:
		r.Int = int64(row.LiveCount(now))
	case wire.OpVGet:
		r.Context = m.seal(op.Key, row.Context())
		r.Siblings = siblings(now, row)
	default:
		return wire.Result{Status: wire.Failed, Err: "unknown operation"}
	}
	return r
}

// siblings lists the live values, the one that a plain GET shows first.
func siblings(now int64, row causal.Container) []wire.Sibling {
	live := make([]causal.Version, 0, len(row.Versions))
	for _, v := range row.Versions {
		if v.Live(now) {
			live = append(live, v)
		}
	}
	slices.SortFunc(live, func(a, b causal.Version) int {
		if a.HLC != b.HLC {
			if a.HLC > b.HLC {
				return -1
			}
			return 1
		}
		return b.Dot.Compare(a.Dot)
	})
	out := make([]wire.Sibling, len(live))
	for i, v := range live {
		out[i] = wire.Sibling{Value: v.Payload, Dot: v.Dot, UnixMs: int64(v.HLC >> 16)}
	}
	return out
}

// evalWrite evaluates a write on a row at now. Without dots nothing is to be written; the result stands either way.
func (m *Machine) evalWrite(now int64, op *wire.Op, row causal.Container) (wire.Result, causal.Container, []causal.Dot) {
	switch op.Code {
	case wire.OpSet:
		return m.evalSet(now, op, row)
	case wire.OpDel:
		return m.evalDel(now, op, row)
	case wire.OpExpire, wire.OpPersist:
		return m.evalExpire(now, op, row)
	case wire.OpVSet, wire.OpVDel:
		return m.evalContext(now, op, row)
	}
	return wire.Result{Status: wire.Failed, Err: "unknown operation"}, row, nil
}

// only is the dot as a list, which is valid until the next call.
func (m *Machine) only(d causal.Dot) []causal.Dot {
	m.dots = append(m.dots[:0], d)
	return m.dots
}

// evalSet: everything that the coordinator holds is the context.
func (m *Machine) evalSet(now int64, op *wire.Op, row causal.Container) (wire.Result, causal.Container, []causal.Dot) {
	v := m.version(now, op, row, causal.KindString)
	v.Payload = op.Value
	v.Expiry = expiry(now, op, row)
	return wire.Result{}, m.rows.Overwrite(row, v), m.only(v.Dot)
}

func (m *Machine) evalDel(now int64, op *wire.Op, row causal.Container) (wire.Result, causal.Container, []causal.Dot) {
	if row.LiveCount(now) == 0 {
		return wire.Result{}, row, nil
	}
	v := m.version(now, op, row, causal.KindTombstone)
	return wire.Result{Int: 1}, m.rows.Overwrite(row, v), m.only(v.Dot)
}

// evalExpire writes a new version of each live value, each replacing only its own, so that concurrent values stay
// siblings. An expiry that has passed deletes.
func (m *Machine) evalExpire(now int64, op *wire.Op, row causal.Container) (wire.Result, causal.Container, []causal.Dot) {
	if row.LiveCount(now) == 0 {
		return wire.Result{}, row, nil
	}
	at := int64(0)
	if op.Code == wire.OpExpire {
		if at = expiry(now, op, row); at <= now {
			return m.evalDel(now, op, row)
		}
	}
	after, dots := row, []causal.Dot(nil)
	for _, old := range row.Versions {
		if !old.Live(now) || op.Code == wire.OpPersist && old.Expiry == 0 {
			continue
		}
		v := m.version(now, op, after, old.Kind)
		v.Payload, v.Expiry = old.Payload, at
		after = after.Discard(causal.Context{Dots: []causal.Dot{old.Dot}}).Add(v)
		dots = append(dots, v.Dot)
	}
	r := wire.Result{}
	if len(dots) > 0 {
		r.Int = 1
	}
	return r, after, dots
}

// evalContext is VSET and VDEL: the context is the client's.
func (m *Machine) evalContext(now int64, op *wire.Op, row causal.Container) (wire.Result, causal.Container, []causal.Dot) {
	ctx, ok := m.open(op.Key, op.Context)
	if !ok {
		return status(wire.BadContext), row, nil
	}
	if unresolved(ctx, row, &m.store.Replica(op.Partition).Clock) {
		return wire.Result{Status: wire.TryAgain, Err: "the context is ahead of what the owners that answer know"}, row, nil
	}
	before := row.LiveCount(now)
	after := row.Discard(ctx)
	after.Vector = after.Vector.Join(ctx.Vector)
	left := after.LiveCount(now)
	if op.Code == wire.OpVDel {
		if before == left {
			return wire.Result{}, row, nil
		}
		v := m.version(now, op, row, causal.KindTombstone)
		return wire.Result{Int: int64(before - left)}, after.Add(v), []causal.Dot{v.Dot}
	}
	if left >= m.cfg.SiblingMax {
		return status(wire.TooManySiblings), row, nil
	}
	if left > 0 {
		m.Stats.Conflicts++
	}
	v := m.version(now, op, row, causal.KindString)
	v.Payload, v.Expiry = op.Value, expiry(now, op, row)
	after = after.Add(v)
	return wire.Result{Context: m.seal(op.Key, contextAfter(ctx, after, v.Dot))}, after, []causal.Dot{v.Dot}
}

// contextAfter is what the writer of dot has now seen. With no sibling left the row's vector covers only that and
// what was superseded, so it is the context; else the old one plus the new dot. The dots that the old one named
// beside its vector are superseded by the new dot and need no naming any more.
func contextAfter(ctx causal.Context, after causal.Container, dot causal.Dot) causal.Context {
	if len(after.Versions) == 1 {
		return after.Context()
	}
	return causal.Context{Vector: ctx.Vector}.With(dot)
}

// version begins a new version with the next dot of the partition replica.
func (m *Machine) version(now int64, op *wire.Op, row causal.Container, k causal.Kind) causal.Version {
	return causal.Version{Dot: m.store.Replica(op.Partition).Next(), Kind: k, HLC: m.stamp(now, row)}
}

// expiry is the absolute expiry that the operation asks for, unix ms, 0 for none.
func expiry(now int64, op *wire.Op, row causal.Container) int64 {
	switch op.TTL {
	case wire.TTLRelative:
		return max(1, now+op.At)
	case wire.TTLAbsolute:
		return max(1, op.At)
	case wire.TTLKeep:
		if v := row.Shown(now); v != nil {
			return v.Expiry
		}
	}
	return 0
}
