package resp

import (
	"runtime/debug"

	"github.com/tidwall/redcon"
)

// trigger is all that redcon's parser ever sees of a connection: one constant command, at once. Its handler then takes
// the connection over, because redcon's own loop would cost three allocations per batch, and its buffers 12 KiB for
// every idle client.
const trigger = "*1\r\n$4\r\nTAKE\r\n"

// Read is redcon's: it gives the trigger, and never a client's byte.
func (g *guard) Read(dst []byte) (int, error) {
	if g.taken {
		return 0, errIdleRead
	}
	return copy(dst, trigger), nil
}

// Write is redcon's, which flushes nothing. Replies do not take this way (see send).
func (g *guard) Write(b []byte) (int, error) {
	if err := g.send(b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// takeOver is redcon's handler.
func (s *Server) takeOver(rc redcon.Conn, _ redcon.Command) {
	g, ok := rc.NetConn().(*guard)
	if !ok || g.taken {
		rc.Close()
		return
	}
	g.taken = true
	rc.Detach()
	if g.task != nil {
		g.task.Go(func() { s.converse(g.conn) })
		return
	}
	go s.converse(g.conn)
}

// closed is redcon's callback for a connection that it has done with: ended, or handed over.
func (s *Server) closed(rc redcon.Conn, _ error) {
	if g, ok := rc.NetConn().(*guard); ok && !g.taken {
		s.forget(g.conn)
	}
}

// converse serves a connection until it ends. A panic ends the connection, not the node.
func (s *Server) converse(c *Conn) {
	running := false // a command, as opposed to the parser
	defer s.forget(c)
	defer c.guard.Close()
	defer func() {
		if p := recover(); p != nil {
			what := "reading"
			if running {
				what = "a command"
				s.stats.Panics.Add(1)
			}
			s.opts.Log.Error("client connection closed: "+what+" panicked",
				"client", c.remote, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	for c.guard.nextBatch() == nil {
		running = true
		s.serveBatch(c)
		running = false
	}
}
