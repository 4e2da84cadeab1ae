package resp

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"shoal/wire"
)

// serveLoopback runs a server on a real loopback socket until the test ends.
func serveLoopback(t *testing.T, opts Options) (*Server, string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if opts.Backend == nil {
		opts.Backend = newNoteBackend()
	}
	inLoop(t, &opts)
	s := startServer(t, opts, ln)
	return s, ln.Addr().String()
}

func startServer(t *testing.T, opts Options, ln net.Listener) *Server {
	t.Helper()
	if opts.Backend == nil {
		opts.Backend = newNoteBackend()
	}
	opts.Commands = miniTable()
	s := NewServer(opts)
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}

// converse sends bytes and returns everything until the server closes.
func converse(t *testing.T, addr, request string) string {
	t.Helper()
	conn := dial(t, addr)
	go io.WriteString(conn, request) // may be cut short by the server
	reply, err := io.ReadAll(conn)
	if err != nil {
		t.Errorf("%.40q: %v after %.100q", request, err, reply)
	}
	return string(reply)
}

// Each of these harmed a server whose parser met the network unguarded. Each gets Redis's answer, and the node lives.
func TestHostileBytes(t *testing.T) {
	s, addr := serveLoopback(t, Options{})
	for request, want := range map[string]string{
		"*1\r\n$9223372036854775807\r\nx\r\n":                  protoBulkLen,
		"*9223372036854775807\r\n":                             protoMultibulkLen,
		"*1000000000\r\n":                                      protoMultibulkLen,
		"*1\r\n$1000000000000\r\n" + strings.Repeat("x", 9999): protoBulkLen,
		"*1\r\n$18446744073709551620\r\nPING\r\n":              protoBulkLen,
		strings.Repeat("a", 200<<10):                           protoInline,
		"*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n":               "expected '$', got 'f'",
		"*" + strings.Repeat("1", 80<<10):                      protoMultibulkLine,
		"*1\r\n$" + strings.Repeat("1", 80<<10):                protoBulkLine,
		"PING \"a\r\n":                                         protoQuotes,
	} {
		if got := converse(t, addr, request); got != "-ERR Protocol error: "+want+"\r\n" {
			t.Errorf("%.40q: got %q, want %q", request, got, want)
		}
	}
	if got := converse(t, addr, "*0\r\n*-10\r\n\r\nping\nquit\n"); got != "+PONG\r\n+OK\r\n" {
		t.Errorf("after all that: %q", got)
	}
	if got := converse(t, addr, "POST / HTTP/1.1\r\nHost: x\r\n\r\nset a 1\r\n"); got != "" {
		t.Errorf("HTTP: %q", got)
	}
	if n := s.Stats().Panics.Load(); n != 0 {
		t.Errorf("%d panics", n)
	}
}

func TestHostileBytesBeforeAuth(t *testing.T) {
	set := NewSettings()
	set.SetPassword("secret")
	_, addr := serveLoopback(t, Options{Settings: set})
	for request, want := range map[string]string{
		"*11\r\n":          "-ERR Protocol error: unauthenticated multibulk length\r\n",
		"*1\r\n$16385\r\n": "-ERR Protocol error: unauthenticated bulk length\r\n",
		"ping\nquit\n":     "-NOAUTH Authentication required.\r\n+OK\r\n",
		"auth secret\n*11\r\n$3\r\nset\r\n" + strings.Repeat("$1\r\nx\r\n", 10) + "quit\n": "+OK\r\n-ERR wrong number of arguments for 'set' command\r\n+OK\r\n",
	} {
		if got := converse(t, addr, request); got != want {
			t.Errorf("%.40q: got %q, want %q", request, got, want)
		}
	}
}

func TestPanickingCommandEndsItsConnectionOnly(t *testing.T) {
	s, addr := serveLoopback(t, Options{})
	other := dial(t, addr)
	if got := converse(t, addr, "panic\nset a 1\n"); got != "" {
		t.Errorf("got %q", got)
	}
	io.WriteString(other, "ping\nget a\nquit\n")
	if got, _ := io.ReadAll(other); string(got) != "+PONG\r\n$-1\r\n+OK\r\n" {
		t.Errorf("another connection: %q", got)
	}
	if n := s.Stats().Panics.Load(); n != 1 {
		t.Errorf("%d panics counted", n)
	}
}

func TestProtectedMode(t *testing.T) {
	set := NewSettings()
	_, addr := serveLoopback(t, Options{Settings: set, IsLoopback: func(net.Addr) bool { return false }})
	if got := converse(t, addr, ""); !strings.HasPrefix(got, "-DENIED Redis is running in protected mode because") || strings.Contains(got, "REWRITE") {
		t.Errorf("no password: %q", got)
	}
	set.ProtectedMode.Store(false)
	if got := converse(t, addr, "quit\n"); got != "+OK\r\n" {
		t.Errorf("protected-mode no: %q", got)
	}
	set.ProtectedMode.Store(true)
	set.SetPassword("secret")
	if got := converse(t, addr, "quit\n"); got != "+OK\r\n" {
		t.Errorf("with a password: %q", got)
	}
}

func TestMaxClients(t *testing.T) {
	set := NewSettings()
	set.MaxClients.Store(1)
	s, addr := serveLoopback(t, Options{Settings: set})
	first := dial(t, addr)
	io.WriteString(first, "ping\n")
	if line, err := bufio.NewReader(first).ReadString('\n'); line != "+PONG\r\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if got := converse(t, addr, ""); got != "-ERR max number of clients reached\r\n" {
		t.Errorf("second client: %q", got)
	}
	if n := len(s.Conns()); n != 1 {
		t.Errorf("%d connections listed", n)
	}
}

// A client that pipelines large reads and takes no answer makes the batch wait: only the first vector was read.
func TestReplyThatIsNeverReadHoldsTheBatch(t *testing.T) {
	b := newNoteBackend()
	b.values["large"] = strings.Repeat("v", 1<<20)
	ln := newPipeListener()
	startServer(t, Options{Backend: b, IsLoopback: func(net.Addr) bool { return true }}, ln)
	conn, writes := ln.connect(t)
	io.WriteString(conn, "mget large large large\n"+strings.Repeat("get large\n", 100)+"quit\n")
	<-writes // the first write has begun, and nothing takes it
	b.mu.Lock()
	gets := b.gets
	b.mu.Unlock()
	if gets > readCapFirst {
		t.Errorf("%d MiB were read for a client that takes nothing", gets)
	}
	n, err := io.Copy(io.Discard, conn)
	if want := int64(103*(len("$1048576\r\n")+1<<20+2) + len("*3\r\n+OK\r\n")); n != want || err != nil {
		t.Errorf("then %d bytes of %d came, %v", n, want, err)
	}
}

func TestCloseLetsTheRunningBatchAnswer(t *testing.T) {
	b := newNoteBackend()
	running, proceed := make(chan bool), make(chan bool)
	b.onExec = func([]wire.Op) { running <- true; <-proceed }
	s, addr := serveLoopback(t, Options{Backend: b})
	busy, idle := dial(t, addr), dial(t, addr)
	io.WriteString(idle, "ping\n")
	if line, _ := bufio.NewReader(idle).ReadString('\n'); line != "+PONG\r\n" {
		t.Fatalf("idle client: %q", line)
	}
	io.WriteString(busy, "set a 1\nping\n")
	<-running
	closed := make(chan error)
	go func() { closed <- s.Close(context.Background()) }()
	if got, err := io.ReadAll(idle); len(got) > 0 || err != nil {
		t.Errorf("idle client: %q, %v", got, err)
	}
	if conn, err := net.Dial("tcp", addr); err == nil {
		conn.Close()
		t.Error("a client was accepted while closing")
	}
	close(proceed)
	if got, _ := io.ReadAll(busy); string(got) != "+OK\r\n+PONG\r\n" {
		t.Errorf("busy client: %q", got)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// Out of descriptors: accepting pauses instead of spinning, and goes on.
func TestAcceptErrorsAreSurvived(t *testing.T) {
	ln := newPipeListener()
	for range 3 {
		ln.errs <- &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	startServer(t, Options{IsLoopback: func(net.Addr) bool { return true }}, ln)
	conn, _ := ln.connect(t)
	io.WriteString(conn, "quit\n")
	if got, _ := io.ReadAll(conn); string(got) != "+OK\r\n" {
		t.Errorf("got %q", got)
	}
}

func TestDeadlines(t *testing.T) {
	withPassword := NewSettings()
	withPassword.SetPassword("secret")
	withTimeout := NewSettings()
	withTimeout.IdleTimeout.Store(100)
	for _, c := range []struct {
		name, send string
		settings   *Settings
		after      time.Duration
	}{
		{"a begun command", "ping\n*1\r\n$4\r\nPI", NewSettings(), 10 * time.Second},
		{"never authenticated", "", withPassword, 30 * time.Second},
		{"idle", "", withTimeout, 100 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ln := newPipeListener()
				startServer(t, Options{Settings: c.settings, IsLoopback: func(net.Addr) bool { return true }}, ln)
				begin := time.Now()
				conn, _ := ln.connect(t)
				if c.send != "" {
					go io.WriteString(conn, c.send)
				}
				io.Copy(io.Discard, conn)
				if took := time.Since(begin); took != c.after {
					t.Errorf("closed after %v, want %v", took, c.after)
				}
			})
		})
	}
}

func TestWriteDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := newPipeListener()
		s := startServer(t, Options{IsLoopback: func(net.Addr) bool { return true }}, ln)
		begin := time.Now()
		conn, writes := ln.connect(t)
		io.WriteString(conn, "ping\n")
		<-writes
		synctest.Wait()
		for s.ConnCount() > 0 {
			time.Sleep(time.Second) // virtual
		}
		if took := time.Since(begin); took < 10*time.Second || took > 16*time.Second {
			t.Errorf("a client that reads nothing was kept for %v", took)
		}
	})
}

func TestClientList(t *testing.T) {
	s, addr := serveLoopback(t, Options{})
	conn := dial(t, addr)
	io.WriteString(conn, "config get x\n")
	bufio.NewReader(conn).ReadString('\n')
	infos := s.Conns()
	if len(infos) != 1 || infos[0].LastCommandName != "config|get" || infos[0].Commands != 1 ||
		infos[0].RemoteAddr != conn.LocalAddr().String() || infos[0].Proto != 2 {
		t.Errorf("got %+v", infos)
	}
}

// pipeListener accepts in-memory connections.
type pipeListener struct {
	conns chan net.Conn
	errs  chan error
	stop  chan struct{}
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), errs: make(chan error, 8), stop: make(chan struct{})}
}

// connect returns the client's end, and a channel that gets a value when the server begins to write.
func (l *pipeListener) connect(t *testing.T) (net.Conn, <-chan bool) {
	near, far := net.Pipe()
	t.Cleanup(func() { near.Close() })
	writes := make(chan bool, 1)
	l.conns <- &writeNoticing{Conn: far, writes: writes}
	return near, writes
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case err := <-l.errs:
		return nil, err
	default:
	}
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.stop:
		return nil, net.ErrClosed
	}
}
func (l *pipeListener) Close() error   { close(l.stop); return nil }
func (l *pipeListener) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

// writeNoticing tells when a write begins; notices nobody waits for are dropped.
type writeNoticing struct {
	net.Conn
	writes chan bool
}

func (w *writeNoticing) Write(b []byte) (int, error) {
	select {
	case w.writes <- true:
	default:
	}
	return w.Conn.Write(b)
}

func ExampleServer() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	s := NewServer(Options{Backend: newNoteBackend(), Commands: miniTable()})
	go s.Serve(ln)
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		panic(err)
	}
	io.WriteString(conn, "SET k v\r\nGET k\r\nQUIT\r\n")
	reply, _ := io.ReadAll(conn)
	fmt.Printf("%q\n", reply)
	s.Close(context.Background())
	// Output: "+OK\r\n$1\r\nv\r\n+OK\r\n"
}
