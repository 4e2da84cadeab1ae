package resp

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"shoal/ring"
	"shoal/wire"
)

// quickBackend answers at once: a 128-byte value for every GET.
type quickBackend struct{ *noteBackend }

var quickValue = []byte(strings.Repeat("v", 128))

func (quickBackend) Exec(ops []wire.Op, out []wire.Result) {
	for i := range ops {
		out[i].Found, out[i].Value = true, quickValue
	}
}
func (quickBackend) CountSlot(ring.Slot) (int64, wire.Result) { return 0, wire.Result{} }

// repeatConn is a client that sends the same pipeline count times, takes all replies, and goes. It costs nothing.
type repeatConn struct {
	net.Conn
	pipeline []byte
	count    int
	closed   chan struct{}
}

func (r *repeatConn) Read(b []byte) (int, error) {
	if r.count == 0 {
		return 0, io.EOF
	}
	r.count--
	return copy(b, r.pipeline), nil
}
func (r *repeatConn) Write(b []byte) (int, error)      { return len(b), nil }
func (r *repeatConn) SetReadDeadline(time.Time) error  { return nil }
func (r *repeatConn) SetWriteDeadline(time.Time) error { return nil }
func (r *repeatConn) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
func (r *repeatConn) LocalAddr() net.Addr              { return r.RemoteAddr() }
func (r *repeatConn) Close() error                     { close(r.closed); return nil }

func benchPipeline(command string, n int, sameKey bool) []byte {
	var b strings.Builder
	for i := range n {
		if sameKey {
			i = 0
		}
		if command == "GET" {
			fmt.Fprintf(&b, "*2\r\n$3\r\nGET\r\n$16\r\nkey:%012d\r\n", i)
		} else {
			fmt.Fprintf(&b, "*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$128\r\n%s\r\n", i, quickValue)
		}
	}
	return []byte(b.String())
}

func benchShapes(b *testing.B, run func(b *testing.B, pipeline []byte, n int)) {
	for _, command := range []string{"GET", "SET"} {
		for _, n := range []int{1, 16} {
			b.Run(fmt.Sprintf("%s/pipeline=%d", command, n), func(b *testing.B) {
				b.ReportAllocs()
				run(b, benchPipeline(command, n, false), n)
			})
		}
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkServe is the whole way of a command through the front door but for the socket and the backend. One op is
// one command.
func BenchmarkServe(b *testing.B) {
	ln := newPipeListener()
	s := NewServer(Options{Backend: quickBackend{newNoteBackend()}, Commands: Commands()})
	go s.Serve(ln)
	defer s.Close(context.Background())
	benchShapes(b, func(b *testing.B, pipeline []byte, n int) {
		conn := &repeatConn{pipeline: pipeline, count: (b.N + n - 1) / n, closed: make(chan struct{})}
		cpu := cpuTime()
		ln.conns <- conn
		<-conn.closed
		b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N), "cpu-ns/op")
	})
}

// BenchmarkLoopback is the same over TCP with 8 connections. The client's share is in its figures: two system calls
// per pipeline, and nothing else to speak of.
func BenchmarkLoopback(b *testing.B) {
	const conns = 8
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := NewServer(Options{Backend: quickBackend{newNoteBackend()}, Commands: Commands()})
	go s.Serve(ln)
	defer s.Close(context.Background())
	benchShapes(b, func(b *testing.B, pipeline []byte, n int) {
		cpu := cpuTime()
		done := make(chan error, conns)
		for range conns {
			go func() { done <- benchClient(ln.Addr().String(), pipeline, n, b.N/n/conns+1) }()
		}
		for range conns {
			if err := <-done; err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N), "cpu-ns/op")
	})
}

func benchClient(addr string, pipeline []byte, n, rounds int) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	size := n * len("+OK\r\n")
	if strings.Contains(string(pipeline), "GET") {
		size = n * (len("$128\r\n") + len(quickValue) + len("\r\n"))
	}
	replies := make([]byte, size)
	for range rounds {
		if _, err := conn.Write(pipeline); err != nil {
			return err
		}
		if _, err := io.ReadFull(conn, replies); err != nil {
			return err
		}
	}
	return nil
}
