package gossip

import (
	"sync"
	"time"
)

const (
	joinsAtOnce = 4
	// joinRest is how long an address that answered is left alone although no member announces it: a seed given by name
	// never equals a member's address.
	joinRest = 10 * time.Second
)

// rejoin keeps joining addresses at which no member is known, for ever: memberlist itself forgets whoever was away for
// half a minute, and would stay split.
func (g *Gossip) rejoin() {
	defer g.wg.Done()
	tick := time.NewTicker(g.cfg.RejoinEvery)
	defer tick.Stop()
	j := joins{state: make(map[string]joinState)}
	for {
		for _, addr := range j.start(g.missing(), time.Now()) {
			g.wg.Add(1)
			go func() {
				defer g.wg.Done()
				_, err := g.list.Join([]string{addr})
				j.done(addr, err == nil, time.Now())
			}()
		}
		select {
		case <-tick.C:
		case <-g.ctx.Done():
			return
		}
	}
}

// missing returns the addresses to try at which no member is known.
func (g *Gossip) missing() []string {
	known := map[string]bool{g.cfg.Advertise: true}
	for _, m := range g.view.list() {
		known[m.Addr], known[m.Meta.Peer] = true, true
	}
	var out []string
	for _, addr := range g.cfg.Seeds() {
		if addr != "" && !known[addr] {
			known[addr] = true
			out = append(out, addr)
		}
	}
	return out
}

// joins is what is known about the attempts.
type joins struct {
	mu      sync.Mutex
	running int
	turn    int // where in the list of addresses the next round begins, so that each gets its turn
	state   map[string]joinState
}

type joinState struct {
	running bool
	rest    time.Time // not before
}

// start returns the addresses whose turn it is and counts them as running.
func (j *joins) start(addrs []string, now time.Time) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.forget(addrs)
	var out []string
	for i := range addrs {
		addr := addrs[(j.turn+i)%len(addrs)]
		if s := j.state[addr]; s.running || now.Before(s.rest) {
			continue
		}
		if j.running == joinsAtOnce {
			j.turn = (j.turn + i) % len(addrs)
			break
		}
		j.running++
		j.state[addr] = joinState{running: true}
		out = append(out, addr)
	}
	return out
}

// done takes the outcome of an attempt.
func (j *joins) done(addr string, ok bool, now time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.running--
	if ok {
		j.state[addr] = joinState{rest: now.Add(joinRest)}
	} else {
		delete(j.state, addr)
	}
}

// forget drops what is known about addresses that nobody asks for any more.
func (j *joins) forget(addrs []string) {
	wanted := make(map[string]bool, len(addrs))
	for _, a := range addrs {
		wanted[a] = true
	}
	for a, s := range j.state {
		if !wanted[a] && !s.running {
			delete(j.state, a)
		}
	}
}
