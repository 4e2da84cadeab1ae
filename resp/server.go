package resp

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidwall/redcon"

	"shoal/wire/loop"
)

// Options configure a Server. Backend and Commands are required.
type Options struct {
	Backend  Backend
	Commands *Table
	Settings *Settings    // nil: NewSettings()
	Log      *slog.Logger // nil: discarded
	Loop     *loop.Loop   // serves the sockets that it can, if the Backend is a Starter; nil: each has a goroutine

	Now        func() time.Time         // nil: time.Now. What commands see; deadlines are in real time
	IsLoopback func(addr net.Addr) bool // nil: loopback IP addresses and unix sockets

	ReadTimeout  time.Duration // for the rest of a started command, plus a second per 64 KiB of it; 0: 10 s
	WriteTimeout time.Duration // without progress on a write; 0: 10 s
	AuthTimeout  time.Duration // from connect to AUTH when there is a password; 0: 30 s
}

func (o *Options) fill() {
	if o.Settings == nil {
		o.Settings = NewSettings()
	}
	if _, ok := o.Backend.(Starter); !ok {
		o.Loop = nil
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.IsLoopback == nil {
		o.IsLoopback = isLoopback
	}
	for _, d := range []struct {
		at  *time.Duration
		def time.Duration
	}{{&o.ReadTimeout, 10 * time.Second}, {&o.WriteTimeout, 10 * time.Second}, {&o.AuthTimeout, 30 * time.Second}} {
		if *d.at == 0 {
			*d.at = d.def
		}
	}
}

// Stats count what the server did since its start or the last ResetStats.
type Stats struct {
	Connections   atomic.Int64 // accepted
	Rejected      atomic.Int64 // refused for maxclients
	Denied        atomic.Int64 // refused by protected mode
	Commands      atomic.Int64 // processed, refused ones included
	ErrorReplies  atomic.Int64
	ProtocolFails atomic.Int64 // connections closed for a protocol error
	Panics        atomic.Int64 // connections closed because a command panicked
	BytesIn       atomic.Int64
	BytesOut      atomic.Int64
}

// Server is the front door: it accepts clients, guards what they send and runs their commands on the Backend.
type Server struct {
	opts    Options
	started time.Time
	epoch   time.Time // when the stopwatch was started, in real time
	nextID  atomic.Int64
	stats   Stats
	largest largest
	budget  budget
	shown   atomic.Pointer[topology] // the last that was asked for

	mu struct {
		sync.Mutex
		conns    map[int64]*Conn
		listener *doorListener
		draining bool
	}
	empty chan struct{} // closed when draining and no connection is left
	stop  chan struct{} // closed when draining begins
}

// NewServer makes a server that serves nothing yet.
func NewServer(opts Options) *Server {
	opts.fill()
	s := &Server{opts: opts, started: opts.Now(), epoch: time.Now(), empty: make(chan struct{}), stop: make(chan struct{})}
	s.mu.conns = make(map[int64]*Conn)
	s.budget.limit = &opts.Settings.ClientMemory
	return s
}

// Backend is the node behind the door.
func (s *Server) Backend() Backend { return s.opts.Backend }

// Settings are the values CONFIG SET changes.
func (s *Server) Settings() *Settings { return s.opts.Settings }

// Commands is the command table.
func (s *Server) Commands() *Table { return s.opts.Commands }

// Now is the server's clock.
func (s *Server) Now() time.Time { return s.opts.Now() }

// stopwatch is the real time since the server was made. It costs half of a time.Now.
func (s *Server) stopwatch() time.Duration { return time.Since(s.epoch) }

// Started is when NewServer ran.
func (s *Server) Started() time.Time { return s.started }

// Stats are the live counters.
func (s *Server) Stats() *Stats { return &s.stats }

// ResetStats zeroes the counters of the server and of its commands (CONFIG RESETSTAT).
func (s *Server) ResetStats() {
	st := &s.stats
	for _, n := range []*atomic.Int64{&st.Connections, &st.Rejected, &st.Denied, &st.Commands, &st.ErrorReplies,
		&st.ProtocolFails, &st.Panics, &st.BytesIn, &st.BytesOut} {
		n.Store(0)
	}
	for _, c := range s.opts.Commands.All() {
		c.resetStats()
	}
}

// ConnCount is the number of open connections.
func (s *Server) ConnCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.mu.conns)
}

// Conns are snapshots of the open connections, oldest first.
func (s *Server) Conns() []ConnInfo {
	s.mu.Lock()
	all := make([]*Conn, 0, len(s.mu.conns))
	for _, c := range s.mu.conns {
		all = append(all, c)
	}
	s.mu.Unlock()
	sort.Slice(all, func(i, j int) bool { return all[i].id < all[j].id })
	infos := make([]ConnInfo, len(all))
	for i, c := range all {
		infos[i] = c.Info()
	}
	return infos
}

// Serve accepts clients until Close; it returns nil then. It may be called once.
func (s *Server) Serve(ln net.Listener) error {
	door := &doorListener{Listener: ln, srv: s}
	s.mu.Lock()
	if s.mu.draining || s.mu.listener != nil {
		s.mu.Unlock()
		return errors.New("resp: server closed or already serving")
	}
	s.mu.listener = door
	s.mu.Unlock()
	return redcon.Serve(door, s.takeOver, nil, s.closed)
}

// Close stops accepting, lets running batches answer and then closes every connection. When ctx ends first, the rest
// is cut and ctx's error returned.
func (s *Server) Close(ctx context.Context) error {
	s.beginDrain()
	select {
	case <-s.empty:
		return nil
	case <-ctx.Done():
	}
	for _, c := range s.open() {
		c.guard.Close()
	}
	return ctx.Err()
}

func (s *Server) beginDrain() {
	s.mu.Lock()
	if s.mu.draining {
		s.mu.Unlock()
		return
	}
	s.mu.draining = true
	close(s.stop)
	ln := s.mu.listener
	s.signalEmptyLocked()
	s.mu.Unlock()
	if ln != nil {
		ln.Close()
	}
	for _, c := range s.open() {
		c.guard.drain()
	}
}

func (s *Server) open() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*Conn, 0, len(s.mu.conns))
	for _, c := range s.mu.conns {
		all = append(all, c)
	}
	return all
}

// signalEmptyLocked closes empty once nothing is left to drain.
func (s *Server) signalEmptyLocked() {
	if !s.mu.draining || len(s.mu.conns) > 0 {
		return
	}
	select {
	case <-s.empty:
	default:
		close(s.empty)
	}
}

func (s *Server) forget(c *Conn) {
	s.budget.give(c.held.counted)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.mu.conns, c.id)
	s.signalEmptyLocked()
}
