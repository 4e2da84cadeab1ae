package resp

import "bytes"

const errNoAuth = "NOAUTH Authentication required."

// serveBatch runs the commands of a batch and flushes their replies.
func (s *Server) serveBatch(c *Conn) {
	b := c.guard.take()
	c.begin(b)
	v := vectorPool.Get().(*Vector)
	v.conn = c
	ran := s.runCommands(c, v, b)
	if c.w.err == nil {
		v.drain()
	}
	if b.err != "" && !c.closing {
		s.protocolError(c, b.err)
	}
	c.counted.flush()
	errors := c.w.errors
	c.finish()
	v.release() // not deferred: after a panic its state is not to be trusted
	s.stats.Commands.Add(int64(ran))
	if errors > 0 {
		s.stats.ErrorReplies.Add(int64(errors))
	}
}

func (s *Server) runCommands(c *Conn, v *Vector, b batch) (ran int) {
	for i := range b.ends {
		if c.closing || c.w.err != nil {
			break
		}
		s.dispatch(c, v, b.command(i))
		ran++
		if len(v.pending) == 0 { // those that wait for the backend give way by that
			c.giveWay()
		}
	}
	return ran
}

func (s *Server) protocolError(c *Conn, text string) {
	s.stats.ProtocolFails.Add(1)
	c.openWriter()
	c.w.Error("ERR Protocol error: " + text)
	c.closing = true
	c.guard.lingers = true
}

// dispatch finds and checks a command and runs it, or takes its operations into the vector.
func (s *Server) dispatch(c *Conn, v *Vector, args [][]byte) {
	cmd, errText := s.resolve(c, args)
	switch {
	case errText != "":
		if cmd != nil {
			cmd.stats.Rejected.Add(1)
		}
		v.fail(nil, errText)
		return
	case cmd == nil:
		return // closed without an answer
	}
	c.count(cmd)
	if cmd.Plan != nil {
		v.plan(cmd, args)
		return
	}
	c.counted.flush() // it may be the one that shows the counts
	v.drain()
	if c.w.err != nil {
		return
	}
	c.openWriter()
	before := c.w.errors
	c.runCommand(cmd, args)
	if c.w.errors != before {
		cmd.stats.Failed.Add(1)
	}
}

// resolve finds the command and checks, in Redis's order, that it exists, its arity, authentication and loading. The
// command is returned with the error where it is known. Neither: the connection is to be closed.
func (s *Server) resolve(c *Conn, args [][]byte) (*Command, string) {
	cmd := c.known.lookup(s.opts.Commands, args[0])
	if cmd == nil {
		if crossProtocol(args[0]) {
			s.opts.Log.Warn("client connection closed: it speaks HTTP (possible cross-protocol attack)", "client", c.remote)
			c.closing = true
			return nil, ""
		}
		return nil, errUnknownCommand(args)
	}
	if len(cmd.Subcommands) > 0 && len(args) > 1 {
		if sub := cmd.Subcommand(args[1]); sub != nil {
			cmd = sub
		} else if cmd.Run == nil && cmd.Plan == nil {
			return cmd, errUnknownSubcommand(cmd.Name, args[1])
		}
	}
	switch {
	case !cmd.arityOK(len(args)):
		return cmd, errArity(cmd.FullName())
	case cmd.Run == nil && cmd.Plan == nil: // a container, called without a subcommand
		return cmd, errArity(cmd.FullName())
	case !c.Authenticated() && !cmd.Has(FlagNoAuth):
		return cmd, errNoAuth
	}
	if !c.ready && !cmd.Has(FlagLoading) {
		if text := s.opts.Backend.Ready(); text != "" {
			return cmd, "LOADING " + text
		}
		c.ready = true
	}
	return cmd, ""
}

// crossProtocol recognises the first words of an HTTP request that a browser was tricked into sending.
func crossProtocol(name []byte) bool {
	return bytes.EqualFold(name, []byte("post")) || bytes.EqualFold(name, []byte("host:"))
}
