package resp

import (
	"strconv"

	"shoal/causal"
	"shoal/wire"
)

// siblingCommands are shoal's own: the paper's get(key) -> values and context, put(key, context, value).
func siblingCommands() []*Command {
	const read, write = FlagReadonly | FlagFast, FlagWrite | FlagFast
	return []*Command{
		{Name: "vget", Arity: 2, Flags: read, FirstKey: 1, LastKey: 1, KeyStep: 1, Plan: planRead(wire.OpVGet, replyVGet)},
		{Name: "vset", Arity: -4, Flags: write | FlagDenyOOM, FirstKey: 1, LastKey: 1, KeyStep: 1, Plan: planVSet},
		{Name: "vdel", Arity: 3, Flags: write, FirstKey: 1, LastKey: 1, KeyStep: 1, Plan: planVDel},
		{Name: "siblings", Arity: 2, Flags: read, FirstKey: 1, LastKey: 1, KeyStep: 1, Plan: planRead(wire.OpSiblings, replyInt)},
	}
}

// planVSet plans VSET key context value [EX s | PX ms | EXAT s | PXAT ms]. KEEPTTL has no meaning here: the value that
// is written replaces those its context has seen, which need not be the one that is shown.
func planVSet(c *Conn, args [][]byte, v *Vector) (Reply, string) {
	op := wire.Op{Code: wire.OpVSet, Key: args[1], Context: args[2], Value: args[3]}
	o, errText := parseSetOptions(args[4:])
	switch {
	case errText != "":
		return nil, errText
	case o.refused != "" || o.mode == wire.TTLKeep:
		return nil, errSyntax
	}
	if errText = o.apply(&op, "vset", c.Now().UnixMilli()); errText != "" {
		return nil, errText
	}
	v.Add(op)
	return replyContext, ""
}

func planVDel(_ *Conn, args [][]byte, v *Vector) (Reply, string) {
	v.Add(wire.Op{Code: wire.OpVDel, Key: args[1], Context: args[2]})
	return replyInt, ""
}

func replyContext(w *Writer, _ []wire.Op, res []wire.Result) {
	if !failed(w, res) {
		w.Bulk(res[0].Context)
	}
}

// replyVGet answers [context, [[value, dot, unix-ms], ...]].
func replyVGet(w *Writer, _ []wire.Op, res []wire.Result) {
	if failed(w, res) {
		return
	}
	w.Array(2)
	w.Bulk(res[0].Context)
	w.Array(len(res[0].Siblings))
	for i := range res[0].Siblings {
		s := &res[0].Siblings[i]
		w.Array(3)
		w.Bulk(s.Value)
		w.BulkString(dotText(s.Dot))
		w.Int(s.UnixMs)
	}
}

// dotText shows a dot as the actor in 16 hexadecimal characters, a colon and the sequence number.
func dotText(d causal.Dot) string {
	const digits = 16
	actor := strconv.FormatUint(uint64(d.Actor), 16)
	for len(actor) < digits {
		actor = "0" + actor
	}
	return actor + ":" + strconv.FormatUint(d.Seq, 10)
}
