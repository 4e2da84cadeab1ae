package simnet_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"shoal/test/simnet"
)

// pair returns two connected ends, between hosts 10.0.0.1 and 10.0.0.2.
func pair(t *testing.T, n *simnet.Network) (near, far net.Conn) {
	t.Helper()
	ln, err := n.Host("10.0.0.2").Listen(":7")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	near, err = n.Host("10.0.0.1").Dial(t.Context(), "10.0.0.2:7")
	if err != nil {
		t.Fatal(err)
	}
	far, err = ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return near, far
}

func TestWritesAreBufferedAndThenBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := pair(t, simnet.New())
		sent := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
		if n, err := near.Write(sent[:100]); n != 100 || err != nil {
			t.Fatalf("a write that nobody reads: %d, %v", n, err)
		}
		_ = near.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := near.Write(sent[100:])
		if !errors.Is(err, os.ErrDeadlineExceeded) || n >= len(sent)-100 {
			t.Fatalf("a write past the buffer: %d, %v", n, err)
		}
		_ = near.SetWriteDeadline(time.Time{})
		go func() {
			_, _ = near.Write(sent[100+n:])
			_ = near.Close()
		}()
		got, err := io.ReadAll(far)
		if err != nil || !bytes.Equal(got, sent) {
			t.Fatalf("read %d bytes of %d, %v", len(got), len(sent), err)
		}
	})
}

func TestCutHoldsBytesBackAndEndsToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		near, far := pair(t, n)
		n.Cut("10.0.0.1", "10.0.0.2")
		_, _ = near.Write([]byte("late"))
		_, _ = far.Write([]byte("on time"))
		_ = near.Close()
		_ = far.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := far.Read(make([]byte, 9)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("read through a cut: %v", err)
		}
		_ = far.SetReadDeadline(time.Time{})
		time.AfterFunc(time.Minute, func() { n.Heal("10.0.0.1", "10.0.0.2") })
		start := time.Now()
		got, err := io.ReadAll(far)
		if string(got) != "late" || err != nil || time.Since(start) != time.Minute {
			t.Fatalf("after healing: %q, %v, %v", got, err, time.Since(start))
		}
	})
}

func TestOneDirectionCanBeCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		near, far := pair(t, n)
		n.Cut("10.0.0.1", "10.0.0.2")
		_, _ = far.Write([]byte("x"))
		if _, err := io.ReadFull(near, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	})
}

func TestDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		a, b := n.Host("10.0.0.1"), n.Host("10.0.0.2")
		if _, err := a.Dial(t.Context(), "10.0.0.2:7"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("nobody listens: %v", err)
		}
		ln, _ := b.Listen("10.0.0.2:7")
		n.Cut("10.0.0.2", "10.0.0.1") // the answer is lost
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := a.Dial(ctx, "10.0.0.2:7"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("through a cut: %v", err)
		}
		time.AfterFunc(time.Hour, n.HealAll)
		c, err := a.Dial(t.Context(), "10.0.0.2:7")
		if err != nil || c.RemoteAddr().String() != "10.0.0.2:7" {
			t.Fatal(c, err)
		}
		_ = ln.Close()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("a connection that nobody accepted, after the listener closed: %v", err)
		}
	})
}

func TestCrashResetsConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		near, far := pair(t, n)
		n.Host("10.0.0.2").Crash()
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("the other end: %v", err)
		}
		if _, err := near.Write(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("the other end: %v", err)
		}
		if _, err := far.Write(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Fatalf("the crashed end: %v", err)
		}
	})
}

func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		near, far := pair(t, n)
		n.SetLatency(func(_, _ string) time.Duration { return 3 * time.Millisecond })
		start := time.Now()
		_, _ = near.Write([]byte("x"))
		if _, err := far.Read(make([]byte, 1)); err != nil || time.Since(start) != 3*time.Millisecond {
			t.Fatal(err, time.Since(start))
		}
	})
}

func TestPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New()
		a, _ := n.Host("10.0.0.1").ListenPacket(":9")
		b, _ := n.Host("10.0.0.2").ListenPacket(":9")
		buf := make([]byte, 10)
		_, _ = a.WriteTo([]byte("hello"), b.LocalAddr())
		if m, from, err := b.ReadFrom(buf); string(buf[:m]) != "hello" || from.String() != "10.0.0.1:9" || err != nil {
			t.Fatal(m, from, err)
		}
		n.Cut("10.0.0.1", "10.0.0.2")
		_, _ = a.WriteTo([]byte("lost"), b.LocalAddr())
		n.HealAll()
		_ = b.SetReadDeadline(time.Now().Add(time.Second))
		if _, _, err := b.ReadFrom(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("a packet through a cut: %v", err)
		}
		_ = b.SetReadDeadline(time.Time{})
		time.AfterFunc(time.Second, func() { _ = b.Close() })
		if _, _, err := b.ReadFrom(buf); !errors.Is(err, net.ErrClosed) {
			t.Fatal(err)
		}
	})
}
