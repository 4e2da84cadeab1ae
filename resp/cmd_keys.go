package resp

import (
	"shoal/causal"
	"shoal/wire"
)

func keyCommands() []*Command {
	const read = FlagReadonly | FlagFast
	return []*Command{
		{Name: "del", Arity: -2, Flags: FlagWrite, FirstKey: 1, LastKey: -1, KeyStep: 1, Plan: planDel},
		{Name: "unlink", Arity: -2, Flags: FlagWrite | FlagFast, FirstKey: 1, LastKey: -1, KeyStep: 1, Plan: planDel},
		{Name: "exists", Arity: -2, Flags: read, FirstKey: 1, LastKey: -1, KeyStep: 1, Plan: planExists},
		{Name: "touch", Arity: -2, Flags: read, FirstKey: 1, LastKey: -1, KeyStep: 1, Plan: planExists},
		{Name: "type", Arity: 2, Flags: read, FirstKey: 1, LastKey: 1, KeyStep: 1, Plan: planRead(wire.OpType, replyType)},
	}
}

// planDel removes every key once: DEL k k answers 1.
func planDel(_ *Conn, args [][]byte, v *Vector) (Reply, string) {
	keys := args[1:]
	if len(keys) == 1 {
		v.Add(wire.Op{Code: wire.OpDel, Key: keys[0]})
		return replyInt, ""
	}
	index, distinct := distinctKeys(len(keys), func(i int) []byte { return keys[i] })
	if distinct >= manyFrom {
		return planSumMany(v, keys, index, distinct, wire.Op{Code: wire.OpDel}, false), ""
	}
	addDistinct(v, index, distinct, func(i int) wire.Op { return wire.Op{Code: wire.OpDel, Key: keys[i]} })
	return replySum, ""
}

// planExists counts a key as often as it is named: EXISTS k k answers 2.
func planExists(c *Conn, args [][]byte, v *Vector) (Reply, string) {
	keys := args[1:]
	if len(keys) == 1 {
		v.Add(wire.Op{Code: wire.OpExists, Key: keys[0], ReadOne: c.ReadOnly()})
		return replyInt, ""
	}
	index, distinct := distinctKeys(len(keys), func(i int) []byte { return keys[i] })
	if distinct >= manyFrom {
		return planSumMany(v, keys, index, distinct, wire.Op{Code: wire.OpExists, ReadOne: c.ReadOnly()}, true), ""
	}
	addDistinct(v, index, distinct, func(i int) wire.Op {
		return wire.Op{Code: wire.OpExists, Key: keys[i], ReadOne: c.ReadOnly()}
	})
	return func(w *Writer, _ []wire.Op, res []wire.Result) {
		if failed(w, res) {
			return
		}
		var sum int64
		for _, j := range index {
			sum += res[j].Int
		}
		w.Int(sum)
	}, ""
}

// planSumMany answers the sum over very many keys, each counted once or as often as it is named.
func planSumMany(v *Vector, keys [][]byte, index []int32, distinct int, op wire.Op, repeats bool) Reply {
	var o outcome
	var sum int64
	first := firsts(index, distinct)
	var times []int32
	if repeats {
		times = make([]int32, distinct)
		for _, j := range index {
			times[j]++
		}
	}
	v.addMany(many{n: distinct, keep: 12,
		op: func(j int) wire.Op {
			next := op
			next.Key = keys[first[j]]
			return next
		},
		take: func(j int, r *wire.Result) {
			o.note(r)
			if repeats {
				sum += r.Int * int64(times[j])
			} else {
				sum += r.Int
			}
		},
	})
	return func(w *Writer, _ []wire.Op, _ []wire.Result) {
		if !o.failed(w) {
			w.Int(sum)
		}
	}
}

func replyType(w *Writer, _ []wire.Op, res []wire.Result) {
	switch {
	case failed(w, res):
	case !res[0].Found:
		w.Simple("none")
	case res[0].Kind == causal.KindString, res[0].Kind == causal.KindCounterCell:
		w.Simple("string")
	default:
		w.Simple("unknown")
	}
}
