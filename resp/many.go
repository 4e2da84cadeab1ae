package resp

import "shoal/wire"

// many is a command on more keys than one vector holds. Its operations are made, run and taken in piece by piece, so
// that a million keys do not take a million operations and results at once, but only what their reply needs.
type many struct {
	n    int // operations, on distinct keys
	keep int // bytes that the command holds for each of them until it is answered, besides values
	op   func(i int) wire.Op
	take func(i int, r *wire.Result) // what r points to may be kept, r itself not
}

// manyFrom is the number of keys from which a command is run in pieces.
const manyFrom = vectorOps + 1

// addMany plans a command of n operations on distinct keys, all reads or all writes. Nothing else may be added by the
// same Plan, and its Reply gets neither operations nor results.
func (v *Vector) addMany(m many) { v.many = m }

// runMany runs and answers a command in pieces, after all that was before it.
func (v *Vector) runMany(cmd *Command, reply Reply) {
	m := v.many
	v.many = many{}
	v.drain()
	errText := ""
	for i := 0; i < m.n && errText == "" && v.conn.w.err == nil; {
		for i+len(v.ops) < m.n {
			op := m.op(i + len(v.ops))
			if len(v.ops) > 0 && !v.hasRoom(&op, len(v.ops)) {
				break
			}
			v.ops = append(v.ops, op)
			v.bytes += len(op.Key) + len(op.Value)
			if returnsValue(op.Code) {
				v.reads++
			}
		}
		if errText = v.admitPiece(&m, i); errText == "" {
			v.runPiece(&m, i)
			i += len(v.ops)
			errText = v.excess(cmd)
		}
		v.drop()
	}
	v.held = 0
	p := pending{cmd: cmd, reply: reply, err: errText}
	v.conn.openWriter()
	p.write(&v.conn.w, nil, nil)
}

// admitPiece asks the budget for the piece that begins at i. Writes that have begun go on: the client could not tell
// what was written.
func (v *Vector) admitPiece(m *many, i int) (errText string) {
	c := v.conn
	c.held.vector = m.n*m.keep + v.expected()
	if v.ops[0].Code.Write() && i > 0 {
		c.settle()
	} else if !c.mayHold(budgetWait) {
		return errClientMemory
	}
	return ""
}

func (v *Vector) runPiece(m *many, i int) {
	v.grow()
	kept := m.n * m.keep
	v.exec(v.ops, v.res)
	v.conn.held.vector += kept // learn has counted the rest
	v.conn.settle()
	for j := range v.res {
		m.take(i+j, &v.res[j])
	}
}

// drop forgets the piece.
func (v *Vector) drop() {
	clear(v.ops)
	clear(v.res)
	v.ops, v.res = v.ops[:0], v.res[:0]
	v.reads, v.bytes = 0, 0
}

// outcome gathers the statuses of a command's results: its error is the one that failed would choose.
type outcome struct{ worst wire.Result }

func (o *outcome) note(r *wire.Result) {
	if r.Status == wire.OK || o.worst.Status == wire.Uncertain {
		return
	}
	if o.worst.Status == wire.OK || r.Status == wire.Uncertain {
		o.worst = *r
	}
}

// failed answers the error, if there was one.
func (o *outcome) failed(w *Writer) bool { return writeFailure(w, o.worst) }
