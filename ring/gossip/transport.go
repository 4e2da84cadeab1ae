package gossip

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	packetQueue = 256 // packets waiting for memberlist; more are lost, as packets may be
	streamLimit = 64  // streams open at once, either way
	packetMax   = 64 << 10
)

var (
	errStopped   = errors.New("gossip: stopped")
	errUntrusted = errors.New("gossip: not a loopback address, and packets are not authenticated")
)

// transport is memberlist's view of the network. Whatever it is doing, Shutdown ends it: nothing in here waits for
// memberlist to take something.
type transport struct {
	cfg     *Config
	ip      net.IP
	port    int
	log     *limitedLog
	packets chan *memberlist.Packet
	streams chan net.Conn

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu   sync.Mutex // guards open; never held across a wait
	open map[*stream]struct{}
}

var _ memberlist.Transport = (*transport)(nil)

// newTransport starts to read packets.
func newTransport(cfg *Config, ip net.IP, port int, log *limitedLog) *transport {
	t := &transport{
		cfg: cfg, ip: ip, port: port, log: log,
		packets: make(chan *memberlist.Packet, packetQueue),
		streams: make(chan net.Conn, streamLimit),
		open:    make(map[*stream]struct{}),
	}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.wg.Add(1)
	go t.readPackets()
	return t
}

// FinalAdvertiseAddr returns the address given to newTransport; memberlist has no other opinion.
func (t *transport) FinalAdvertiseAddr(string, int) (net.IP, int, error) { return t.ip, t.port, nil }

// PacketCh is where memberlist takes packets from.
func (t *transport) PacketCh() <-chan *memberlist.Packet { return t.packets }

// StreamCh is where memberlist takes streams from.
func (t *transport) StreamCh() <-chan net.Conn { return t.streams }

// WriteTo sends a packet to an ip:port.
func (t *transport) WriteTo(b []byte, addr string) (time.Time, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return time.Time{}, err
	}
	udp := net.UDPAddrFromAddrPort(to)
	if !t.cfg.trusted(udp) {
		return time.Time{}, errUntrusted
	}
	_, err = t.cfg.Packet.WriteTo(b, udp)
	return time.Now(), err
}

// readPackets hands on what may be listened to until the socket is closed.
func (t *transport) readPackets() {
	defer t.wg.Done()
	buf := make([]byte, packetMax)
	for {
		n, from, err := t.cfg.Packet.ReadFrom(buf)
		if t.ctx.Err() != nil {
			return
		}
		if err != nil {
			if errors.Is(err, net.ErrClosed) || !t.sleep(10*time.Millisecond) {
				return
			}
			continue
		}
		if !t.cfg.trusted(from) {
			t.log.print("packet from an address that is not loopback dropped: there is no cluster secret")
			continue
		}
		p := &memberlist.Packet{Buf: append([]byte(nil), buf[:n]...), From: from, Timestamp: time.Now()}
		select {
		case t.packets <- p:
		default:
		}
	}
}

// sleep reports false when the transport stopped meanwhile.
func (t *transport) sleep(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-t.ctx.Done():
		return false
	}
}

// DialTimeout opens a stream.
func (t *transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(t.ctx, timeout)
	defer cancel()
	conn, err := t.cfg.DialStream(ctx, addr)
	if err != nil {
		return nil, err
	}
	s := t.own(conn)
	if s == nil {
		_ = conn.Close()
		return nil, errStopped
	}
	return s, nil
}

// accept takes an incoming stream, or closes it when it may not be listened to or there are too many.
func (t *transport) accept(conn net.Conn) {
	if !t.cfg.trusted(conn.RemoteAddr()) {
		_ = conn.Close()
		return
	}
	s := t.own(conn)
	if s == nil {
		_ = conn.Close()
		return
	}
	select {
	case t.streams <- s:
	default:
		_ = s.Close()
	}
}

// own counts a stream as open, so that Shutdown closes it; nil when stopped or when there are too many.
func (t *transport) own(conn net.Conn) *stream {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ctx.Err() != nil || len(t.open) >= streamLimit {
		return nil
	}
	s := &stream{Conn: conn, of: t}
	t.open[s] = struct{}{}
	return s
}

// Shutdown ends everything and waits for it; afterwards nothing of this transport runs. Calling it again does nothing.
func (t *transport) Shutdown() error {
	t.mu.Lock()
	t.cancel()
	open := t.open
	t.open = make(map[*stream]struct{})
	t.mu.Unlock()
	for s := range open {
		_ = s.Conn.Close()
	}
	_ = t.cfg.Packet.Close()
	t.wg.Wait()
	return nil
}

// stream is a connection that is counted until it is closed.
type stream struct {
	net.Conn
	of *transport
}

// Close closes the connection.
func (s *stream) Close() error {
	s.of.mu.Lock()
	delete(s.of.open, s)
	s.of.mu.Unlock()
	return s.Conn.Close()
}
