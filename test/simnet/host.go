package simnet

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
)

// Host is one machine of a Network.
type Host struct {
	net  *Network
	ip   string
	addr netip.Addr

	mu        sync.Mutex
	nextPort  uint16
	listeners map[uint16]*listener
	packets   map[uint16]*PacketConn
	conns     map[*conn]struct{}
}

func newHost(n *Network, ip string, addr netip.Addr) *Host {
	return &Host{
		net: n, ip: ip, addr: addr, nextPort: 32768,
		listeners: make(map[uint16]*listener),
		packets:   make(map[uint16]*PacketConn),
		conns:     make(map[*conn]struct{}),
	}
}

// IP returns the host's address.
func (h *Host) IP() string { return h.ip }

// Listen opens a listener at ":port" or "ip:port", ip being the host's; port 0 takes a free one.
func (h *Host) Listen(addr string) (net.Listener, error) {
	port, err := h.port(addr)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if port == 0 {
		port = h.ephemeral()
	}
	if h.listeners[port] != nil {
		return nil, opError("listen", os.NewSyscallError("bind", syscall.EADDRINUSE))
	}
	l := &listener{host: h, addr: h.tcpAddr(port), backlog: make(chan *conn, 128), done: make(chan struct{})}
	h.listeners[port] = l
	return l, nil
}

// ListenPacket opens a packet socket; addr as in Listen. It may share its port with a listener.
func (h *Host) ListenPacket(addr string) (*PacketConn, error) {
	port, err := h.port(addr)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if port == 0 {
		port = h.ephemeral()
	}
	if h.packets[port] != nil {
		return nil, opError("listen", os.NewSyscallError("bind", syscall.EADDRINUSE))
	}
	p := newPacketConn(h, net.UDPAddrFromAddrPort(netip.AddrPortFrom(h.addr, port)))
	h.packets[port] = p
	return p, nil
}

// Dial connects to "ip:port". Through a cut it waits until the link heals or ctx ends; where nobody listens it is
// refused (syscall.ECONNREFUSED).
func (h *Host) Dial(ctx context.Context, addr string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, opError("dial", err)
	}
	peer := to.Addr().Unmap().String()
	for {
		there, changed := h.net.open(h.ip, peer)
		back, _ := h.net.open(peer, h.ip)
		if there && back {
			break
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, opError("dial", ctx.Err())
		}
	}
	if arrival := h.net.due(h.ip, peer); !arrival.IsZero() {
		await(arrival, ctx.Done(), nil, nil)
	}
	if err := ctx.Err(); err != nil {
		return nil, opError("dial", err)
	}
	return h.connect(ctx, peer, to.Port())
}

// connect finds the listener and makes the two ends.
func (h *Host) connect(ctx context.Context, peer string, port uint16) (net.Conn, error) {
	refused := opError("dial", os.NewSyscallError("connect", syscall.ECONNREFUSED))
	h.net.mu.Lock()
	other := h.net.hosts[peer]
	h.net.mu.Unlock()
	if other == nil {
		return nil, refused
	}
	other.mu.Lock()
	l := other.listeners[port]
	other.mu.Unlock()
	if l == nil {
		return nil, refused
	}
	h.mu.Lock()
	local := h.tcpAddr(h.ephemeral())
	h.mu.Unlock()
	near, far := newConnPair(h, other, local, l.addr)
	select {
	case l.backlog <- far:
		l.sweep()
		return near, nil
	case <-l.done:
		_ = near.Close()
		_ = far.Close()
		return nil, refused
	case <-ctx.Done():
		_ = near.Close()
		_ = far.Close()
		return nil, opError("dial", ctx.Err())
	}
}

// Crash ends everything the host has open as if its process died: listeners and sockets vanish, and the other end of
// each connection finds it reset, once the link carries. The host can be used again at once.
func (h *Host) Crash() {
	h.mu.Lock()
	listeners, packets, conns := h.listeners, h.packets, h.conns
	h.listeners = make(map[uint16]*listener)
	h.packets = make(map[uint16]*PacketConn)
	h.conns = make(map[*conn]struct{})
	h.mu.Unlock()
	for _, l := range listeners {
		_ = l.Close()
	}
	for _, p := range packets {
		_ = p.Close()
	}
	for c := range conns {
		c.end(true)
	}
}

// port reads ":port" or "ip:port".
func (h *Host) port(addr string) (uint16, error) {
	if port, short := strings.CutPrefix(addr, ":"); short {
		addr = net.JoinHostPort(h.ip, port)
	}
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return 0, opError("listen", err)
	}
	if ap.Addr() != h.addr {
		return 0, opError("listen", fmt.Errorf("%s is not an address of host %s", addr, h.ip))
	}
	return ap.Port(), nil
}

// ephemeral returns a port that nobody listens on. h.mu is held.
func (h *Host) ephemeral() uint16 {
	for {
		h.nextPort++
		if h.nextPort < 32768 {
			h.nextPort = 32768
		}
		if h.listeners[h.nextPort] == nil && h.packets[h.nextPort] == nil {
			return h.nextPort
		}
	}
}

func (h *Host) tcpAddr(port uint16) net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(h.addr, port))
}

func opError(op string, err error) error { return &net.OpError{Op: op, Net: "simnet", Err: err} }

type listener struct {
	host    *Host
	addr    net.Addr
	backlog chan *conn
	once    sync.Once
	done    chan struct{}
}

// Accept returns the next connection, or net.ErrClosed.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.done:
		return nil, opError("accept", net.ErrClosed)
	default:
	}
	select {
	case c := <-l.backlog:
		return c, nil
	case <-l.done:
		return nil, opError("accept", net.ErrClosed)
	}
}

// Close resets the connections that nobody accepted.
func (l *listener) Close() error {
	l.once.Do(func() {
		close(l.done)
		l.host.mu.Lock()
		for port, other := range l.host.listeners {
			if other == l {
				delete(l.host.listeners, port)
			}
		}
		l.host.mu.Unlock()
		l.sweep()
	})
	return nil
}

// sweep resets what waits in the backlog of a closed listener. Whoever put something there calls it, too: either that
// call or the one of Close comes late enough to see it.
func (l *listener) sweep() {
	select {
	case <-l.done:
	default:
		return
	}
	for {
		select {
		case c := <-l.backlog:
			c.end(true)
		default:
			return
		}
	}
}

func (l *listener) Addr() net.Addr { return l.addr }
