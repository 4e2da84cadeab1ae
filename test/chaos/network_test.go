package main

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

const (
	soon  = 10 * time.Second       // for what must come
	never = 100 * time.Millisecond // for what must not
)

// pair is a network of two nodes: this process, which dials, and an echo.
func pair(t *testing.T) (w *network, udp *net.UDPConn) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(conn, conn); _ = conn.Close() }()
		}
	}()
	udp, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 { // a front takes a free UDP port, whose number may be in use for TCP
		w, err = newNetwork([]string{udp.LocalAddr().String(), ln.Addr().String()}, []string{"127.0.0.1:0", "127.0.0.1:0"}, func(i int) int {
			return map[int]int{0: os.Getpid()}[i]
		})
		if err != nil {
			t.Fatal(err)
		}
		if err = w.fronts[1].raise(); err == nil {
			t.Cleanup(func() { _, _, _ = ln.Close(), udp.Close(), w.close() })
			return w, udp
		}
		_ = w.close()
	}
	t.Fatal(err)
	return nil, nil
}

func say(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(soon))
	got := make([]byte, len(want))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		t.Fatalf("heard %q, %v; want %q", got, err, want)
	}
}

func silent(t *testing.T, conn net.Conn) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(never))
	if n, err := conn.Read(make([]byte, 100)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("heard %d bytes, %v; want nothing", n, err)
	}
}

// TestLanes: each direction is cut by itself, a stream's bytes come when it heals, and so does its end.
func TestLanes(t *testing.T) {
	w, _ := pair(t)
	conn, err := net.Dial("tcp4", w.fronts[1].addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	say(t, conn, "one")
	hear(t, conn, "one")
	there, back := w.lanes[0][1].bytes.Load(), w.lanes[1][0].bytes.Load()
	if there != 3 || back != 3 {
		t.Errorf("%d bytes there, %d back", there, back)
	}
	for _, lane := range [][2]int{{0, 1}, {1, 0}} {
		w.cut(lane[0], lane[1])
		w.cut(lane[0], lane[1])
		say(t, conn, "two")
		silent(t, conn)
		w.mend(lane[0], lane[1])
		silent(t, conn) // one of two cuts is left
		w.mend(lane[0], lane[1])
		hear(t, conn, "two")
	}
	if there := w.lanes[0][1].bytes.Load(); there != 9 {
		t.Errorf("%d bytes there", there)
	}
	w.cut(1, 0)
	_ = conn.(*net.TCPConn).CloseWrite()
	silent(t, conn)
	w.mend(1, 0)
	_ = conn.SetReadDeadline(time.Now().Add(soon))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("after the other end closed: %v", err)
	}
}

// TestSlow: what a slow lane carries comes later, in order.
func TestSlow(t *testing.T) {
	w, _ := pair(t)
	conn, err := net.Dial("tcp4", w.fronts[1].addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	say(t, conn, "a")
	hear(t, conn, "a")
	w.lanes[0][1].slow(3 * never)
	from := time.Now()
	say(t, conn, "b")
	silent(t, conn)
	w.lanes[0][1].slow(0)
	say(t, conn, "c")
	hear(t, conn, "bc")
	if took := time.Since(from); took < 3*never {
		t.Errorf("after %v", took)
	}
}

// TestFronts: a lowered front refuses, and a dialler whom no node's process owns is sent away.
func TestFronts(t *testing.T) {
	w, _ := pair(t)
	w.fronts[1].lower()
	if _, err := net.Dial("tcp4", w.fronts[1].addr); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("lowered: %v", err)
	}
	w.fronts[0].pid = func() int { return 0 }
	if err := w.fronts[1].raise(); err != nil {
		t.Fatal(err)
	}
	if conn, err := net.Dial("tcp4", w.fronts[1].addr); err == nil { // else it was reset already
		defer conn.Close()
		_ = conn.SetReadDeadline(time.Now().Add(soon))
		if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a stranger's connection: %v", err)
		}
	}
	if w.lost.Load() != 1 {
		t.Errorf("%d strangers counted", w.lost.Load())
	}
}

// TestPackets: a packet arrives from its sender's front, unless the lane is cut.
func TestPackets(t *testing.T) {
	w, udp := pair(t)
	to := w.fronts[0].udp.LocalAddr().(*net.UDPAddr) // of itself, which is a lane like any other
	hear := func(wait time.Duration) string {
		_ = udp.SetReadDeadline(time.Now().Add(wait))
		b := make([]byte, 100)
		n, from, err := udp.ReadFromUDP(b)
		if err == nil && from.String() != w.fronts[0].addr {
			t.Errorf("from %v", from)
		}
		return string(b[:n])
	}
	for _, c := range []struct {
		text string
		cut  bool
	}{{"one", false}, {"two", true}, {"three", false}} {
		if c.cut {
			w.cut(0, 0)
		}
		if _, err := udp.WriteToUDP([]byte(c.text), to); err != nil {
			t.Fatal(err)
		}
		wait := soon
		if c.cut {
			wait = never
		}
		if got := hear(wait); (got == c.text) == c.cut {
			t.Errorf("%s, cut %v: heard %q", c.text, c.cut, got)
		}
		if c.cut {
			w.mend(0, 0)
		}
	}
}
