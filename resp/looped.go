package resp

import (
	"runtime"

	"shoal/wire"
)

// This file is where a connection's code meets the loop that may serve it (see wire/loop). In the loop it must not wait
// but through its task, and it does the same as a goroutine of its own otherwise.

// exec lets the backend run a vector.
func (c *Conn) exec(ops []wire.Op, res []wire.Result) {
	if task := c.guard.task; task.Within() {
		if c.srv.opts.Backend.(Starter).Start(ops, res, task) {
			task.Park()
		}
		return
	}
	c.srv.opts.Backend.Exec(ops, res)
}

// runCommand runs a command that is not planned. Those that are not known to be quick, and to wait for nothing, would
// hold up all clients of the loop.
func (c *Conn) runCommand(cmd *Command, args [][]byte) {
	if !c.guard.task.Within() || cmd.Has(FlagFast) && !cmd.waits {
		cmd.Run(c, args, &c.w)
		return
	}
	c.guard.task.Outside(func() { cmd.Run(c, args, &c.w) })
}

// yield lets others run.
func (c *Conn) yield() {
	if task := c.guard.task; task.Within() {
		task.Yield()
		return
	}
	runtime.Gosched()
}

// receiveInLoop is receive for a task. It holds no buffer while it waits for a client that has begun nothing.
func (g *guard) receiveInLoop() (int, error) {
	for {
		if g.task.MayRead() {
			g.acquire()
			buf := g.parser.buf
			if n, err := g.task.TryRead(buf[len(buf):cap(buf)]); n > 0 || err != nil {
				return n, err
			}
		}
		if g.parser.vacant() && g.parser.buf != nil {
			g.release()
		}
		if err := g.task.WaitRead(); err != nil {
			return 0, err
		}
	}
}

// write writes all of b.
func (g *guard) write(b []byte) (int, error) {
	if g.task.Within() {
		return g.task.Send(b)
	}
	return g.Conn.Write(b)
}
