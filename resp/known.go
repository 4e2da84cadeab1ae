package resp

// known is the command that a connection named last, by the bytes it used: most clients name one many times over, and a
// comparison is cheaper than the table's map.
type known struct {
	cmd  *Command
	n    int
	name [maxNameLen]byte
}

// lookup is the table's Lookup.
func (k *known) lookup(t *Table, name []byte) *Command {
	if k.cmd != nil && string(name) == string(k.name[:k.n]) {
		return k.cmd
	}
	cmd := t.Lookup(name)
	if cmd != nil {
		k.cmd, k.n = cmd, copy(k.name[:], name)
	}
	return cmd
}

// counted are calls of one command that its counter does not show yet. The counters belong to all connections: adding a
// run of calls at once keeps processors from passing them to and fro for every command.
type counted struct {
	cmd *Command
	n   int64
}

func (c *Conn) count(cmd *Command) {
	if c.counted.cmd != cmd {
		c.counted.flush()
		c.counted.cmd = cmd
		c.lastCmd.Store(cmd)
	}
	c.counted.n++
}

func (d *counted) flush() {
	if d.n > 0 {
		d.cmd.stats.Calls.Add(d.n)
		d.n = 0
	}
}
