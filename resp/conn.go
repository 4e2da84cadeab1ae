package resp

import (
	"sync"
	"sync/atomic"
	"time"
)

// ReplyMode is what CLIENT REPLY asked for.
type ReplyMode uint8

// The reply modes. Only ReplyOn is reachable so far.
const (
	ReplyOn ReplyMode = iota
	ReplyOff
	ReplySkip
)

// State is what a connection carries from command to command. It belongs to the connection's own goroutine: commands
// may read and write it in Plan and Run, nobody else may.
type State struct {
	DB            int       // always 0 in cluster mode
	Asking        bool      // ASKING was sent
	Multi         bool      // inside MULTI (reserved)
	Subscriptions int       // channels and patterns (reserved)
	Reply         ReplyMode // CLIENT REPLY (reserved)
	AuthFailures  int       // wrong passwords on this connection
}

// Conn is one client connection. Getters of identity are safe from any goroutine (CLIENT LIST reads them); setters and
// State are for the connection's own commands.
type Conn struct {
	id      int64
	srv     *Server
	guard   *guard
	w       Writer
	wbuf    *[]byte // where w.buf came from
	created time.Time
	remote  string
	local   string
	state   State
	now     time.Time     // start of the running batch
	turn    time.Duration // when the connection last let others run, on the stopwatch
	closing bool          // close once the replies so far are out
	readCap int           // value-returning operations the next vector may hold, see Vector
	ready   bool          // the backend was, in this batch
	held    holding
	typical int // bytes of a value, of the last vector that read some
	known   known
	counted counted

	proto    atomic.Int32
	authed   atomic.Bool
	readOnly atomic.Bool
	lastCmd  atomic.Pointer[Command]
	lastAt   atomic.Int64 // unix ns of the last batch
	calls    atomic.Int64
	bytesIn  atomic.Int64
	bytesOut atomic.Int64
	queryLen atomic.Int64 // bytes in the query buffer at the last batch
	queryCap atomic.Int64

	mu struct {
		sync.Mutex
		name, libName, libVer string
	}
}

// ID is CLIENT ID: positive, unique in this process run, growing.
func (c *Conn) ID() int64 { return c.id }

// Server is the server this connection came in by.
func (c *Conn) Server() *Server { return c.srv }

// Backend is the node behind it.
func (c *Conn) Backend() Backend { return c.srv.opts.Backend }

// Settings are the server's settings.
func (c *Conn) Settings() *Settings { return c.srv.opts.Settings }

// State is the connection's own state, for its own commands only.
func (c *Conn) State() *State { return &c.state }

// Now is the time at which the running batch started; commands of one batch see one time.
func (c *Conn) Now() time.Time { return c.now }

// RemoteAddr is the peer's host:port.
func (c *Conn) RemoteAddr() string { return c.remote }

// LocalAddr is this side's host:port.
func (c *Conn) LocalAddr() string { return c.local }

// Name is CLIENT GETNAME, "" for none.
func (c *Conn) Name() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.name
}

// SetName stores an already checked name.
func (c *Conn) SetName(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.name = name
}

// SetLibName stores CLIENT SETINFO LIB-NAME, already checked.
func (c *Conn) SetLibName(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.libName = name
}

// SetLibVer stores CLIENT SETINFO LIB-VER, already checked.
func (c *Conn) SetLibVer(ver string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.libVer = ver
}

// Proto is the RESP version, 2 or 3.
func (c *Conn) Proto() int { return int(c.proto.Load()) }

// SetProto switches the RESP version. The reply of the running command is already in the new one.
func (c *Conn) SetProto(version int) {
	c.proto.Store(int32(version))
	c.w.proto = version
}

// Authenticated reports whether commands may run: AUTH succeeded, or there was no password at connect.
func (c *Conn) Authenticated() bool { return c.authed.Load() }

// SetAuthenticated is called by AUTH, HELLO and RESET.
func (c *Conn) SetAuthenticated(ok bool) { c.authed.Store(ok) }

// ReadOnly reports whether READONLY was sent: any owner may answer reads from its own rows.
func (c *Conn) ReadOnly() bool { return c.readOnly.Load() }

// SetReadOnly is called by READONLY and READWRITE.
func (c *Conn) SetReadOnly(on bool) { c.readOnly.Store(on) }

// Reset does what RESET asks of the connection: name, protocol, modes and authentication as after connect.
func (c *Conn) Reset() {
	c.SetName("")
	c.SetProto(2)
	c.SetReadOnly(false)
	c.state = State{AuthFailures: c.state.AuthFailures}
	c.SetAuthenticated(c.Settings().Password() == "")
}

// CloseAfterReply ends the connection once the replies written so far are out; later commands of the batch do not
// run. For QUIT.
func (c *Conn) CloseAfterReply() { c.closing = true }

// ConnInfo is what CLIENT LIST and CLIENT INFO show of a connection.
type ConnInfo struct {
	ID                    int64
	RemoteAddr, LocalAddr string
	Name, LibName, LibVer string
	Proto                 int
	ReadOnly              bool
	Created, LastCommand  time.Time
	LastCommandName       string // "client|list", "" when none ran
	Commands              int64
	BytesIn, BytesOut     int64
	QueryLen, QueryCap    int64 // bytes
}

// Info is a snapshot for CLIENT LIST, safe from any goroutine.
func (c *Conn) Info() ConnInfo {
	i := ConnInfo{
		ID: c.id, RemoteAddr: c.remote, LocalAddr: c.local,
		Proto: c.Proto(), ReadOnly: c.ReadOnly(),
		Created: c.created, LastCommand: time.Unix(0, c.lastAt.Load()),
		Commands: c.calls.Load(),
		BytesIn:  c.bytesIn.Load(), BytesOut: c.bytesOut.Load(),
		QueryLen: c.queryLen.Load(), QueryCap: c.queryCap.Load(),
	}
	if cmd := c.lastCmd.Load(); cmd != nil {
		i.LastCommandName = cmd.FullName()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	i.Name, i.LibName, i.LibVer = c.mu.name, c.mu.libName, c.mu.libVer
	return i
}

// turnTime is how long a connection works without letting others run. Without such turns a few clients that send
// without end, or pipelines of costly commands (INFO, COMMAND DOCS), keep a PING waiting for a whole slice of the
// scheduler each.
const turnTime = time.Millisecond

// giveWay ends the connection's turn if it has lasted. It is called by the connection's goroutine only.
func (c *Conn) giveWay() {
	if now := c.srv.stopwatch(); now-c.turn > turnTime {
		c.yield()
		c.turn = c.srv.stopwatch()
	}
}

// begin prepares the connection for a batch.
func (c *Conn) begin(b batch) {
	c.now = c.srv.opts.Now()
	c.lastAt.Store(c.now.UnixNano())
	c.calls.Add(int64(len(b.ends)))
	store(&c.queryLen, int64(b.size))
	store(&c.queryCap, int64(b.room))
	c.w.errors = 0
	c.ready = false
	c.held.query = c.guard.queryBytes()
	c.settle()
}

// store spares the bus when nothing changes. There is one writer.
func store(at *atomic.Int64, n int64) {
	if at.Load() != n {
		at.Store(n)
	}
}

// openWriter gives the writer a buffer if it has none. It is called as late as possible: a connection that waits for
// the backend has nothing to write yet, and the buffer that was used last is still in the processor's cache.
func (c *Conn) openWriter() {
	if c.wbuf == nil {
		c.wbuf = replyBuffers.Get().(*[]byte)
		c.w.buf = (*c.wbuf)[:0]
	}
}

// finish sends what is left of the batch's replies and gives the buffer back.
func (c *Conn) finish() {
	c.w.Flush()
	if c.wbuf != nil && cap(c.w.buf) <= 4*flushAt {
		*c.wbuf = c.w.buf[:0]
		replyBuffers.Put(c.wbuf)
	}
	c.w.buf, c.wbuf = nil, nil
	c.held.vector = 0
	c.settle()
	if c.w.err != nil {
		c.closing = true
	}
	c.guard.closing = c.closing
}
