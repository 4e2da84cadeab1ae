package resp

import "shoal/wire"

// expected is what the vector holds and will hold, bytes: values are taken to be like the last ones.
func (v *Vector) expected() int {
	return len(v.ops)*holdOp + v.held + min(len(v.ops)-v.done, v.conn.readCap)*v.conn.typical
}

// admit asks the server's budget for what the operations from first on need. If that is not there, the operations before
// them, of earlier commands, run and give back what they hold before it waits. The command with the operations from
// first on has not begun. It returns where they are now.
func (v *Vector) admit(first int) (at int, ok bool) {
	c := v.conn
	c.held.vector = v.expected()
	if more := c.held.due() - c.held.counted; more <= 0 {
		return first, true
	} else if c.srv.budget.try(more) {
		c.held.counted += more
		return first, true
	}
	planned := append([]wire.Op(nil), v.ops[first:]...)
	clear(v.ops[first:])
	v.ops = v.ops[:first]
	v.drain()
	v.ops = append(v.ops, planned...)
	c.held.vector = v.expected()
	ok = c.mayHold(budgetWait)
	if !ok {
		c.held.vector = 0
	}
	return 0, ok
}

// excess says why a command whose values are being gathered must be given up: they are too many for one command, or
// the server has no room and it is not one that holds little.
func (v *Vector) excess(cmd *Command) (errText string) {
	switch {
	case v.held > commandReplies:
		return "ERR the reply of '" + cmd.FullName() + "' is larger than 256 MiB: ask for fewer keys at once"
	case v.held > vectorReplies && v.conn.srv.budget.over():
		return errClientMemory
	}
	return ""
}
