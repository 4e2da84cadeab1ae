package simnet

import (
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// Network joins hosts. Its methods may be called by any goroutine. Inside a bubble it must be made there.
type Network struct {
	mu       sync.Mutex
	hosts    map[string]*Host
	cut      map[direction]bool
	isolated map[string]bool
	changed  signal // fires when a link changes
	latency  func(from, to string) time.Duration
	lose     func(from, to string) bool
}

type direction struct{ from, to string }

// New makes a network without hosts, whose links have no latency and lose nothing.
func New() *Network {
	return &Network{
		hosts:    make(map[string]*Host),
		cut:      make(map[direction]bool),
		isolated: make(map[string]bool),
	}
}

// Host returns the host with this IP address, making it at first. It panics when ip is not one.
func (n *Network) Host(ip string) *Host {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		panic(fmt.Sprintf("simnet: %v", err))
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.hosts[ip]
	if h == nil {
		h = newHost(n, ip, addr)
		n.hosts[ip] = h
	}
	return h
}

// Cut stops everything on its way from one host to another, but not what goes the other way.
func (n *Network) Cut(from, to string) { n.set(func() { n.cut[direction{from, to}] = true }) }

// Heal undoes Cut.
func (n *Network) Heal(from, to string) { n.set(func() { delete(n.cut, direction{from, to}) }) }

// CutBoth cuts both directions between two hosts.
func (n *Network) CutBoth(a, b string) { n.Cut(a, b); n.Cut(b, a) }

// HealBoth undoes CutBoth.
func (n *Network) HealBoth(a, b string) { n.Heal(a, b); n.Heal(b, a) }

// Isolate cuts a host off from every other one, known or not.
func (n *Network) Isolate(ip string) { n.set(func() { n.isolated[ip] = true }) }

// Rejoin undoes Isolate; single cuts stay.
func (n *Network) Rejoin(ip string) { n.set(func() { delete(n.isolated, ip) }) }

// HealAll undoes every cut and isolation.
func (n *Network) HealAll() { n.set(func() { clear(n.cut); clear(n.isolated) }) }

// SetLatency sets how long what is sent from now on takes; nil: no time. Order on one connection is kept.
func (n *Network) SetLatency(f func(from, to string) time.Duration) { n.set(func() { n.latency = f }) }

// SetPacketLoss sets which packets are lost; nil: none. Streams are not touched.
func (n *Network) SetPacketLoss(f func(from, to string) bool) { n.set(func() { n.lose = f }) }

func (n *Network) set(change func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change()
	n.changed.fire()
}

// open reports whether the link carries, and a channel that closes when links change.
func (n *Network) open(from, to string) (bool, <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.carries(from, to), n.changed.wait()
}

func (n *Network) carries(from, to string) bool {
	return from == to || !n.cut[direction{from, to}] && !n.isolated[from] && !n.isolated[to]
}

// due returns when something sent now arrives; zero: at once.
func (n *Network) due(from, to string) time.Time {
	n.mu.Lock()
	f := n.latency
	n.mu.Unlock()
	if f == nil || from == to {
		return time.Time{}
	}
	d := f(from, to)
	if d <= 0 {
		return time.Time{}
	}
	return time.Now().Add(d)
}

// signal wakes all that wait. The mutex of its owner guards it.
type signal struct{ ch chan struct{} }

func (s *signal) wait() <-chan struct{} {
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

func (s *signal) fire() {
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}

// await waits for any of the channels, nil ones never firing, or for a time, the zero time never coming.
func await(until time.Time, a, b, c <-chan struct{}) {
	var fire <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(time.Until(until))
		defer timer.Stop()
		fire = timer.C
	}
	select {
	case <-a:
	case <-b:
	case <-c:
	case <-fire:
	}
}

// earlier returns the earlier of two times, of which zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
