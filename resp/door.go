package resp

import (
	"errors"
	"net"
	"sync"
	"time"
)

// What a client is told that is not let in. The first text is Redis's, and so is the second's beginning; what to do is what
// there is here.
const (
	textMaxClients = "-ERR max number of clients reached\r\n"
	textDenied     = "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for " +
		"the default user. In this mode connections are only accepted from the loopback interface. If you want to " +
		"connect from external computers you may adopt one of the following solutions: 1) Start the node with a " +
		"password, in the file that '--requirepass-file' names. 2) Send 'CONFIG SET requirepass <password>' from the " +
		"loopback interface, which holds until the node stops. 3) Send 'CONFIG SET protected-mode no' from there, which " +
		"does so too; MAKE SURE then that the node is not publicly accessible from the internet.\r\n"
)

// How long accepting pauses after an error such as "too many open files", growing while errors follow each other.
const (
	acceptPauseFirst = 5 * time.Millisecond
	acceptPauseMost  = time.Second
	acceptLogEvery   = 10 * time.Second
	refuseWithin     = time.Second // to write a refusal
)

// doorListener accepts for redcon: it lets clients in or refuses them, and wraps those let in with a guard.
type doorListener struct {
	net.Listener
	closing sync.Once
	srv     *Server
	pause   time.Duration
	lastLog time.Time
}

// Accept returns the next guarded connection. While the server closes it holds redcon back until every connection has
// ended, because redcon cuts all of them when Accept fails.
func (d *doorListener) Accept() (net.Conn, error) {
	for {
		nc, err := d.Listener.Accept()
		if err != nil {
			if err := d.failed(err); err != nil {
				return nil, err
			}
			continue
		}
		d.pause = 0
		if g := d.srv.admit(nc); g != nil {
			return g, nil
		}
	}
}

// Close closes the listener below once; redcon and the server both call it.
func (d *doorListener) Close() (err error) {
	d.closing.Do(func() { err = d.Listener.Close() })
	return err
}

// failed waits after an accept error and returns nil to try again, or net.ErrClosed at the end.
func (d *doorListener) failed(err error) error {
	select {
	case <-d.srv.stop:
		<-d.srv.empty
		return net.ErrClosed
	default:
	}
	if errors.Is(err, net.ErrClosed) {
		d.srv.beginDrain()
		<-d.srv.empty
		return net.ErrClosed
	}
	d.pause = min(max(2*d.pause, acceptPauseFirst), acceptPauseMost)
	if now := time.Now(); now.Sub(d.lastLog) >= acceptLogEvery {
		d.lastLog = now
		d.srv.opts.Log.Error("cannot accept clients", "error", err, "retry_in", d.pause)
	}
	timer := time.NewTimer(d.pause)
	defer timer.Stop()
	select {
	case <-d.srv.stop:
	case <-timer.C:
	}
	return nil
}

// admit registers a connection, or refuses it and returns nil.
func (s *Server) admit(nc net.Conn) *guard {
	set := s.opts.Settings
	if set.Password() == "" && set.ProtectedMode.Load() && !s.opts.IsLoopback(nc.RemoteAddr()) {
		s.stats.Denied.Add(1)
		s.refuse(nc, textDenied)
		return nil
	}
	c := s.newConn(nc)
	s.mu.Lock()
	switch {
	case s.mu.draining:
		s.mu.Unlock()
		c.guard.Close()
		return nil
	case int64(len(s.mu.conns)) >= set.MaxClients.Load():
		s.mu.Unlock()
		s.stats.Rejected.Add(1)
		s.refuse(c.guard.Conn, textMaxClients)
		return nil
	}
	s.mu.conns[c.id] = c
	s.mu.Unlock()
	s.stats.Connections.Add(1)
	return c.guard
}

func (s *Server) newConn(nc net.Conn) *Conn {
	c := &Conn{
		id:      s.nextID.Add(1),
		srv:     s,
		created: s.opts.Now(),
		remote:  nc.RemoteAddr().String(),
		local:   nc.LocalAddr().String(),
		readCap: s.largest.readCap(),
	}
	c.guard = &guard{Conn: nc, conn: c, born: time.Now(), size: queryFirst}
	if task := s.opts.Loop.Adopt(nc); task != nil {
		c.guard.Conn, c.guard.task = task, task
	} else {
		c.guard.ready = newReadiness(c.guard)
	}
	c.guard.parser.bulk = -1
	c.w.sink = c.guard.send
	c.SetProto(2)
	c.lastAt.Store(c.created.UnixNano())
	c.SetAuthenticated(s.opts.Settings.Password() == "")
	return c
}

// refuse says why and closes. The socket is new, so its buffer takes the text at once; a client that has already sent
// something might be reset before it reads it, as with Redis.
func (s *Server) refuse(nc net.Conn, text string) {
	defer nc.Close()
	if nc.SetWriteDeadline(time.Now().Add(refuseWithin)) != nil {
		return
	}
	if _, err := nc.Write([]byte(text)); err != nil {
		return
	}
	if half, ok := nc.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
}

// isLoopback is the default of Options.IsLoopback.
func isLoopback(addr net.Addr) bool {
	switch a := addr.(type) {
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	}
	return false
}
