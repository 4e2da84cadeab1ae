package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// network is a proxy, TCP and UDP, that every pair of nodes talks through. Each node announces its front to the others;
// the front passes on to the node's own peer port by the lane of whoever dialled.
type network struct {
	fronts []*front
	lanes  [][]*lane // from, to
	ctx    context.Context
	stop   context.CancelFunc
	wg     sync.WaitGroup
	lost   atomic.Int64 // connections whose dialler could not be told
}

// front stands before one node.
type front struct {
	of   *network
	i    int
	addr string       // what the node announces
	node *net.UDPAddr // where the node itself listens, TCP and UDP
	udp  *net.UDPConn
	pid  func() int // of the node, 0 while it does not run

	mu  sync.Mutex
	tcp net.Listener // nil while the node is down: its address refuses
}

// newNetwork makes the fronts of the nodes with these peer addresses. They refuse until raised.
func newNetwork(peers, fronts []string, pid func(i int) int) (*network, error) {
	w := &network{}
	w.ctx, w.stop = context.WithCancel(context.Background())
	for i, peer := range peers {
		node, err1 := net.ResolveUDPAddr("udp4", peer)
		at, err2 := net.ResolveUDPAddr("udp4", fronts[i])
		if err := errors.Join(err1, err2); err != nil {
			return nil, errors.Join(err, w.close())
		}
		udp, err := net.ListenUDP("udp4", at)
		if err != nil {
			return nil, errors.Join(err, w.close())
		}
		f := &front{of: w, i: i, addr: udp.LocalAddr().String(), node: node, udp: udp, pid: func() int { return pid(i) }}
		w.fronts = append(w.fronts, f)
		w.lanes = append(w.lanes, make([]*lane, len(peers)))
		for j := range peers {
			w.lanes[i][j] = newLane()
		}
	}
	for _, f := range w.fronts {
		w.wg.Go(f.packets)
	}
	return w, nil
}

// close ends everything and waits for it.
func (w *network) close() error {
	w.stop()
	for _, f := range w.fronts {
		f.lower()
		_ = f.udp.Close()
	}
	w.wg.Wait()
	return nil
}

// raise makes the front accept, as soon as its node runs.
func (f *front) raise() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.tcp != nil {
		return nil
	}
	var err error
	for range 50 { // the port may be in the hands of a connection that is just ending
		if f.tcp, err = net.Listen("tcp4", f.addr); err == nil {
			ln := f.tcp
			f.of.wg.Go(func() { f.accept(ln) })
			return nil
		}
		f.tcp = nil
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("the front of a node: %w", err)
}

// lower makes the address refuse, as that of a dead process does.
func (f *front) lower() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.tcp != nil {
		_ = f.tcp.Close()
		f.tcp = nil
	}
}

func (f *front) accept(ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		f.of.wg.Go(func() { f.serve(conn) })
	}
}

// serve joins a connection with one to the node.
func (f *front) serve(conn net.Conn) {
	defer conn.Close()
	pids := make([]int, len(f.of.fronts))
	for i, other := range f.of.fronts {
		pids[i] = other.pid()
	}
	from, ok := owner(conn, pids)
	if !ok {
		f.of.lost.Add(1)
		reset(conn)
		return
	}
	back, err := net.DialTimeout("tcp4", f.node.String(), time.Second)
	if err != nil {
		reset(conn)
		return
	}
	defer back.Close()
	ctx, stop := context.WithCancel(f.of.ctx)
	defer stop()
	go func() { // what blocks below ends with the network
		<-ctx.Done()
		_, _ = conn.Close(), back.Close()
	}()
	var both sync.WaitGroup
	both.Go(func() { f.of.lanes[from][f.i].stream(ctx, back, conn) })
	both.Go(func() { f.of.lanes[f.i][from].stream(ctx, conn, back) })
	both.Wait()
}

// packets passes on what nodes send to this front. A node sends from the port that it listens on, which tells who it
// is, and the packet arrives from that node's front.
func (f *front) packets() {
	buf := make([]byte, 64<<10)
	for {
		n, from, err := f.udp.ReadFromUDP(buf)
		if f.of.ctx.Err() != nil {
			return
		}
		if err != nil {
			continue // a node that is down refuses packets
		}
		for j, other := range f.of.fronts {
			if other.node.Port == from.Port {
				b := append([]byte(nil), buf[:n]...)
				f.of.lanes[j][f.i].packet(n, func() { _, _ = other.udp.WriteToUDP(b, f.node) })
			}
		}
	}
}

// cut swallows everything from one node to another, in this direction only.
func (w *network) cut(from, to int) { w.lanes[from][to].cut() }

// mend takes one such cut back.
func (w *network) mend(from, to int) { w.lanes[from][to].mend() }

// received is how many bytes have reached the node from the others.
func (w *network) received(i int) (n int64) {
	for from := range w.lanes {
		n += w.lanes[from][i].bytes.Load()
	}
	return n
}
