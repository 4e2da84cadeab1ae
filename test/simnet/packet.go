package simnet

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// queueSize is how many packets a socket holds; more are lost.
const queueSize = 1024

// PacketConn is a packet socket, a net.PacketConn.
type PacketConn struct {
	host *Host
	addr *net.UDPAddr

	mu      sync.Mutex
	queue   []packet
	closed  bool
	readBy  time.Time
	changed signal
}

type packet struct {
	due  time.Time
	from net.Addr
	data []byte
}

var _ net.PacketConn = (*PacketConn)(nil)

func newPacketConn(h *Host, addr *net.UDPAddr) *PacketConn { return &PacketConn{host: h, addr: addr} }

// ReadFrom waits for a packet; what does not fit into b is lost.
func (p *PacketConn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		got, until, changed, err := p.poll()
		if err != nil {
			return 0, nil, opError("read", err)
		}
		if changed == nil {
			return copy(b, got.data), got.from, nil
		}
		await(until, changed, nil, nil)
	}
}

// poll takes a packet that has arrived, or says how long to wait.
func (p *PacketConn) poll() (packet, time.Time, <-chan struct{}, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return packet{}, time.Time{}, nil, net.ErrClosed
	case !p.readBy.IsZero() && !time.Now().Before(p.readBy):
		return packet{}, time.Time{}, nil, os.ErrDeadlineExceeded
	case len(p.queue) == 0:
		return packet{}, p.readBy, p.changed.wait(), nil
	case !arrived(p.queue[0].due):
		return packet{}, earlier(p.readBy, p.queue[0].due), p.changed.wait(), nil
	}
	got := p.queue[0]
	p.queue[0] = packet{}
	p.queue = p.queue[1:]
	return got, time.Time{}, nil, nil
}

// WriteTo sends a packet and never blocks. Like UDP it does not tell whether anything arrives.
func (p *PacketConn) WriteTo(b []byte, to net.Addr) (int, error) {
	p.mu.Lock()
	closed := p.closed
	p.mu.Unlock()
	if closed {
		return 0, opError("write", net.ErrClosed)
	}
	dst, err := netip.ParseAddrPort(to.String())
	if err != nil {
		return 0, opError("write", err)
	}
	peer := dst.Addr().Unmap().String()
	n := p.host.net
	n.mu.Lock()
	open, lose, other := n.carries(p.host.ip, peer), n.lose, n.hosts[peer]
	n.mu.Unlock()
	if !open || other == nil || lose != nil && lose(p.host.ip, peer) {
		return len(b), nil
	}
	other.mu.Lock()
	target := other.packets[dst.Port()]
	other.mu.Unlock()
	if target != nil {
		target.deliver(packet{
			due: n.due(p.host.ip, peer), from: p.addr, data: append([]byte(nil), b...),
		})
	}
	return len(b), nil
}

func (p *PacketConn) deliver(k packet) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.queue) >= queueSize {
		return
	}
	p.queue = append(p.queue, k)
	p.changed.fire()
}

// Close frees the port.
func (p *PacketConn) Close() error {
	p.mu.Lock()
	p.closed = true
	p.queue = nil
	p.changed.fire()
	p.mu.Unlock()
	p.host.mu.Lock()
	defer p.host.mu.Unlock()
	if port := uint16(p.addr.Port); p.host.packets[port] == p {
		delete(p.host.packets, port)
	}
	return nil
}

// LocalAddr returns the socket's address.
func (p *PacketConn) LocalAddr() net.Addr { return p.addr }

// SetDeadline sets the read deadline; writes never wait.
func (p *PacketConn) SetDeadline(t time.Time) error { return p.SetReadDeadline(t) }

// SetWriteDeadline does nothing: writes never wait.
func (p *PacketConn) SetWriteDeadline(time.Time) error { return nil }

// SetReadDeadline sets until when ReadFrom waits.
func (p *PacketConn) SetReadDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.readBy = t
	p.changed.fire()
	return nil
}
