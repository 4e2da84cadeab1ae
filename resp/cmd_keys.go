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
