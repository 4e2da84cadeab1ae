package resp

import "shoal/wire"

func stringCommands() []*Command {
	const read, write = FlagReadonly | FlagFast, FlagWrite | FlagDenyOOM
	return []*Command{
		{Name: "get", Arity: 2, Flags: read, FirstKey: 1, LastKey: 1, KeyStep: 1, Plan: planGet},
		{Name: "set", Arity: -3, Flags: write, FirstKey: 1, LastKey: 1, KeyStep: 1, Plan: planSet},
		{Name: "setex", Arity: 4, Flags: write, FirstKey: 1, LastKey: 1, KeyStep: 1, Plan: planSetEx("setex", inSeconds)},
		{Name: "psetex", Arity: 4, Flags: write, FirstKey: 1, LastKey: 1, KeyStep: 1, Plan: planSetEx("psetex", inMillis)},
		{Name: "mget", Arity: -2, Flags: read, FirstKey: 1, LastKey: -1, KeyStep: 1, Plan: planMGet},
		{Name: "mset", Arity: -3, Flags: write, FirstKey: 1, LastKey: -1, KeyStep: 2, Plan: planMSet},
		{Name: "strlen", Arity: 2, Flags: read, FirstKey: 1, LastKey: 1, KeyStep: 1, Plan: planRead(wire.OpStrlen, replyInt)},
	}
}

// planRead plans a command that reads one key, args[1].
func planRead(code wire.Code, reply Reply) func(*Conn, [][]byte, *Vector) (Reply, string) {
	return func(c *Conn, args [][]byte, v *Vector) (Reply, string) {
		op := v.next()
		op.Code, op.Key, op.ReadOne = code, args[1], c.ReadOnly()
		return reply, ""
	}
}

func planGet(c *Conn, args [][]byte, v *Vector) (Reply, string) {
	op := v.next()
	op.Code, op.Key, op.ReadOne = wire.OpGet, args[1], c.ReadOnly()
	return replyValue, ""
}

func planSet(c *Conn, args [][]byte, v *Vector) (Reply, string) {
	op := v.next()
	op.Code, op.Key, op.Value = wire.OpSet, args[1], args[2]
	if len(args) > 3 {
		o, errText := parseSetOptions(args[3:])
		if errText == "" && o.refused != "" {
			errText = errUnsupported("SET", o.refused)
		}
		if errText == "" {
			errText = o.apply(op, "set", c.Now().UnixMilli())
		}
		if errText != "" {
			return nil, errText
		}
	}
	return replyOK, ""
}

func planSetEx(name string, unit timeUnit) func(*Conn, [][]byte, *Vector) (Reply, string) {
	return func(c *Conn, args [][]byte, v *Vector) (Reply, string) {
		op := wire.Op{Code: wire.OpSet, Key: args[1], Value: args[3]}
		o := setOptions{when: args[2], unit: unit}
		if errText := o.apply(&op, name, c.Now().UnixMilli()); errText != "" {
			return nil, errText
		}
		v.Add(op)
		return replyOK, ""
	}
}

func planMGet(c *Conn, args [][]byte, v *Vector) (Reply, string) {
	keys := args[1:]
	index, distinct := distinctKeys(len(keys), func(i int) []byte { return keys[i] })
	if distinct >= manyFrom {
		return planMGetMany(v, keys, index, distinct, c.ReadOnly()), ""
	}
	addDistinct(v, index, distinct, func(i int) wire.Op {
		return wire.Op{Code: wire.OpGet, Key: keys[i], ReadOne: c.ReadOnly()}
	})
	return func(w *Writer, _ []wire.Op, res []wire.Result) {
		if failed(w, res) {
			return
		}
		w.Array(len(index))
		for _, j := range index {
			writeValue(w, &res[j])
		}
	}, ""
}

// planMGetMany holds the values only.
func planMGetMany(v *Vector, keys [][]byte, index []int32, distinct int, readOne bool) Reply {
	var o outcome
	first := firsts(index, distinct)
	values := make([][]byte, distinct) // nil: missing
	v.addMany(many{n: distinct, keep: 24 + 4 + 4,
		op: func(j int) wire.Op { return wire.Op{Code: wire.OpGet, Key: keys[first[j]], ReadOne: readOne} },
		take: func(j int, r *wire.Result) {
			o.note(r)
			switch {
			case r.Found && r.Value == nil:
				values[j] = []byte{}
			case r.Found:
				values[j] = r.Value
			}
		},
	})
	return func(w *Writer, _ []wire.Op, _ []wire.Result) {
		if o.failed(w) {
			return
		}
		w.Array(len(index))
		for _, j := range index {
			if values[j] == nil {
				w.Null()
			} else {
				w.Bulk(values[j])
			}
		}
	}
}

// planMSet writes every key once, with the last value given for it.
func planMSet(_ *Conn, args [][]byte, v *Vector) (Reply, string) {
	pairs := args[1:]
	if len(pairs)%2 != 0 {
		return nil, errArity("mset")
	}
	index, distinct := distinctKeys(len(pairs)/2, func(i int) []byte { return pairs[2*i] })
	last := make([]int, distinct)
	for i, j := range index {
		last[j] = i
	}
	if distinct >= manyFrom {
		var o outcome
		v.addMany(many{n: distinct, keep: 8,
			op: func(j int) wire.Op {
				i := last[j]
				return wire.Op{Code: wire.OpSet, Key: pairs[2*i], Value: pairs[2*i+1]}
			},
			take: func(_ int, r *wire.Result) { o.note(r) },
		})
		return func(w *Writer, _ []wire.Op, _ []wire.Result) {
			if !o.failed(w) {
				w.OK()
			}
		}, ""
	}
	for _, i := range last {
		v.Add(wire.Op{Code: wire.OpSet, Key: pairs[2*i], Value: pairs[2*i+1]})
	}
	return replyOK, ""
}

// addDistinct adds one operation per distinct key, made from the position at which the key first appears.
func addDistinct(v *Vector, index []int32, distinct int, op func(i int) wire.Op) {
	next := int32(0)
	for i := 0; i < len(index) && int(next) < distinct; i++ {
		if index[i] == next {
			v.Add(op(i))
			next++
		}
	}
}
