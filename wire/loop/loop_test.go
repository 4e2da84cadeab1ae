//go:build linux

package loop

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// begin starts a loop that ends with the test, and must have no task left then.
func begin(t *testing.T) *Loop {
	t.Helper()
	l := New(func() time.Duration { return -1 })
	t.Cleanup(l.Close)
	return l
}

// pair connects a client to a socket of the loop.
func pair(t *testing.T, l *Loop) (*Conn, *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := l.Adopt(nc)
	if c == nil {
		t.Fatal("not adopted")
	}
	t.Cleanup(func() { c.Close() })
	client.SetDeadline(time.Now().Add(20 * time.Second))
	return c, client.(*net.TCPConn)
}

// echo serves a connection to its end and says why it ended.
func echo(c *Conn, buf []byte) chan error {
	end := make(chan error, 1)
	c.Go(func() {
		for {
			n, err := c.Read(buf)
			if err == nil {
				_, err = c.Send(buf[:n])
			}
			if err != nil {
				c.Close()
				end <- err
				return
			}
		}
	})
	return end
}

// More is sent than the sockets hold, and read late: the task waits to read and to send.
func TestTaskReadsAndSends(t *testing.T) {
	l := begin(t)
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	for _, size := range []int{1 << 10, 1 << 20} {
		c, client := pair(t, l)
		end := echo(c, make([]byte, size))
		go func() {
			client.Write(sent)
			client.CloseWrite()
		}()
		got, err := io.ReadAll(client)
		if err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%d bytes came back, %v", len(got), err)
		}
		if err := <-end; err != io.EOF {
			t.Errorf("the task ended with %v", err)
		}
	}
}

// While one task has endless work that gives way, and another does not get its bytes off, a third is served.
func TestTasksTakeTurns(t *testing.T) {
	l := begin(t)
	busy, _ := pair(t, l)
	busy.Go(func() {
		for !busy.closed.Load() {
			busy.Yield()
		}
	})
	stuck, _ := pair(t, l)
	end := make(chan error, 1)
	stuck.Go(func() {
		_, err := stuck.Send(make([]byte, 64<<20))
		end <- err
	})
	c, client := pair(t, l)
	echo(c, make([]byte, 10))
	for range 100 {
		client.Write([]byte("ping"))
		if _, err := io.ReadFull(client, make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
	}
	stuck.Close()
	if err := <-end; !errors.Is(err, net.ErrClosed) {
		t.Errorf("stuck: %v", err)
	}
}

func TestDeadlinesEndWaits(t *testing.T) {
	l := begin(t)
	read, _ := pair(t, l)
	read.SetReadDeadline(time.Now().Add(time.Hour))
	waits := echo(read, make([]byte, 10))
	late, _ := pair(t, l)
	late.SetReadDeadline(time.Now().Add(time.Millisecond))
	if err := <-echo(late, make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read: %v", err)
	}
	send, _ := pair(t, l)
	end := make(chan error, 1)
	send.Go(func() {
		send.SetWriteDeadline(time.Now().Add(time.Millisecond))
		_, err := send.Send(make([]byte, 64<<20))
		end <- err
	})
	if err := <-end; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("send: %v", err)
	}
	read.SetReadDeadline(time.Unix(1, 0)) // from outside, while it waits
	if err := <-waits; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("ended wait: %v", err)
	}
}

// Others than the task write, and wait for room.
func TestWriteFromOutside(t *testing.T) {
	l := begin(t)
	c, client := pair(t, l)
	end := echo(c, make([]byte, 10))
	const size = 16 << 20
	go c.Write(make([]byte, size))
	if n, err := io.CopyN(io.Discard, client, size); err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	c.SetWriteDeadline(time.Now().Add(time.Millisecond))
	if _, err := c.Write(make([]byte, 64<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("write without room: %v", err)
	}
	c.Close()
	if err := <-end; !errors.Is(err, net.ErrClosed) {
		t.Errorf("task: %v", err)
	}
	if n, err := c.Write([]byte("x")); n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after close: %d, %v", n, err)
	}
}

// What waits runs outside, without holding up the loop; what it panics with reaches the task.
func TestOutside(t *testing.T) {
	l := begin(t)
	c, _ := pair(t, l)
	other, client := pair(t, l)
	echo(other, make([]byte, 10))
	release, end := make(chan struct{}), make(chan any, 1)
	c.Go(func() {
		defer c.Close()
		defer func() { end <- recover() }()
		c.Outside(func() {
			if c.Within() {
				t.Error("within, outside")
			}
			<-release
		})
		if !c.Within() {
			t.Error("not within, afterwards")
		}
		c.Outside(func() { panic("so what") })
	})
	client.Write([]byte("ping"))
	if _, err := io.ReadFull(client, make([]byte, 4)); err != nil {
		t.Error(err)
	}
	close(release)
	if p, _ := (<-end).(string); !strings.HasPrefix(p, "so what") {
		t.Errorf("panic: %v", p)
	}
}

// A parked task is resumed at the end of a round, and a round comes after a kick.
func TestParkAndResume(t *testing.T) {
	parked := make(chan *Conn, 1)
	l := New(func() time.Duration {
		select {
		case c := <-parked:
			c.Resume()
		default:
		}
		return -1
	})
	defer l.Close()
	c, _ := pair(t, l)
	began, end := make(chan struct{}), make(chan struct{})
	c.Go(func() {
		close(began)
		c.Park()
		c.Close()
		close(end)
	})
	<-began
	parked <- c
	l.Kick()
	<-end
}
