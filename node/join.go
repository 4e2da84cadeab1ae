package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"shoal/ring"
	"shoal/wire"
	"shoal/wire/tcp"
)

// joinRequest is what a node without a map asks a member, joinReply the answer: a map that lists it, a reason to try
// again, or a reason why it is refused for good.
type joinRequest struct {
	Member    ring.Member
	N         int  // 0: whatever the cluster has
	Returning bool // it was a member when it last heard: it only asks whether it still is
}

type joinReply struct {
	Map      []byte
	Replaces bool // in the place of a member that was gone
	Retry    string
	Refused  string
}

const (
	joinEvery   = 300 * time.Millisecond
	joinTimeout = 3 * time.Second // for one member to get the map decided
	maxReplyLog = 5 * time.Second // between two log lines that say the same
)

// join asks the seeds in turn, for ever, until the map lists this node or a member refuses it.
func (n *Node) join() {
	request, err := json.Marshal(joinRequest{Member: n.member(), N: n.opts.N})
	if err != nil {
		n.fail(err)
		return
	}
	last, said := "", time.Time{}
	for i := 0; n.ctx.Err() == nil; i++ {
		seed := n.id.Seeds[i%len(n.id.Seeds)]
		m, why, err := n.askToJoin(seed, request)
		if m != nil {
			err = n.saveIdentity() // whether it replaces another is durable before the map is
		}
		switch {
		case err != nil:
			n.fail(fmt.Errorf("cannot join: %w", err))
			return
		case m != nil:
			if err = n.store.SetMeta(metaMap, m.Append(nil)); err == nil {
				err = n.install(m)
			}
			if err != nil {
				n.fail(err)
			}
			return
		case n.ctx.Err() != nil:
			return
		case why != last || n.world.Now().Sub(said) > maxReplyLog:
			last, said = why, n.world.Now()
			n.log.Info("waiting to join", "member", seed, "reason", why)
		}
		select {
		case <-n.ctx.Done():
		case <-time.After(joinEvery):
		}
	}
}

// askToJoin returns the map, or why to wait, or the error that ends it.
func (n *Node) askToJoin(seed string, request []byte) (*ring.Map, string, error) {
	ctx, cancel := context.WithTimeout(n.ctx, joinTimeout+2*time.Second)
	defer cancel()
	raw, err := n.transport.Request(ctx, seed, request)
	if err != nil {
		return nil, err.Error(), nil
	}
	var reply joinReply
	if err := json.Unmarshal(raw, &reply); err != nil {
		return nil, "the member's answer cannot be read", nil
	}
	switch {
	case reply.Refused != "":
		return nil, "", errors.New(reply.Refused)
	case reply.Map == nil:
		return nil, reply.Retry, nil
	}
	m, err := ring.DecodeMap(reply.Map)
	if err != nil {
		return nil, "the member's ring map cannot be read: " + err.Error(), nil
	}
	if _, ok := m.Member(n.id.Node); !ok {
		return nil, "the member's ring map does not list this node yet", nil
	}
	if reply.Replaces && !n.id.Replaces { // a returning member writes nothing here: its repair reads this field
		n.id.Replaces = true
	}
	return m, "", nil
}

// onStranger answers a node that asks to join.
func (n *Node) onStranger(from tcp.Identity, frame []byte) []byte {
	var req joinRequest
	reply := joinReply{Refused: "the request cannot be read"}
	if err := json.Unmarshal(frame, &req); err == nil && req.Member.ID == from.Node {
		reply = n.admitMember(req)
	}
	raw, err := json.Marshal(reply)
	if err != nil {
		return nil
	}
	return raw
}

// admitMember checks a request, gets the next map decided and waits for it.
func (n *Node) admitMember(req joinRequest) joinReply {
	m := n.currentMap()
	if m == nil {
		return joinReply{Retry: "the member asked has no ring map yet"}
	}
	if _, ok := m.Member(req.Member.ID); ok {
		return joinReply{Map: m.Append(nil), Replaces: n.replacing(req.Member.ID)}
	}
	if req.Returning {
		return joinReply{Refused: expelled(m, req.Member)}
	}
	if req.N != 0 && req.N != m.N {
		return joinReply{Refused: fmt.Sprintf("the cluster was founded with N=%d, which cannot be changed; this node asks for N=%d", m.N, req.N)}
	}
	deadline := time.Now().Add(joinTimeout)
	next, retry, refused := n.successor(m, req, deadline)
	if next == nil {
		return joinReply{Retry: retry, Refused: refused}
	}
	if err := n.propose(m, next); err != nil {
		return joinReply{Retry: err.Error()}
	}
	for time.Now().Before(deadline) {
		now := n.currentMap()
		if _, ok := now.Member(req.Member.ID); ok {
			return joinReply{Map: now.Append(nil), Replaces: n.replacing(req.Member.ID)}
		}
		if now.Epoch > m.Epoch {
			return joinReply{Retry: "another change of the ring map came first"}
		}
		select {
		case <-n.ctx.Done():
			return joinReply{Retry: "the member asked is stopping"}
		case <-time.After(tickEvery):
		}
	}
	return joinReply{Retry: "a majority of the members has not agreed to the next ring map yet"}
}

// replacing reports whether a member came in the place of another, as far as this node has seen it. (A newcomer that is not
// told so only pulls, and is filled as soon as an owner finds it to be behind.)
func (n *Node) replacing(id ring.NodeID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.mu.replaced[id]
}

func (n *Node) currentMap() *ring.Map {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.mu.ring
}

// propose starts the agreement on the map that follows m.
func (n *Node) propose(m *ring.Map, successor func(*ring.Map) (*ring.Map, error)) (err error) {
	n.tick(func(now int64) {
		if n.mu.ring.Epoch != m.Epoch {
			err = errors.New("the ring map has just changed")
			return
		}
		next, e := successor(m)
		if e != nil {
			err = e
			return
		}
		effects, e := n.mu.agree.Propose(now, next)
		if e != nil {
			err = fmt.Errorf("another change of the ring map is under way: %w", e)
			return
		}
		n.perform(effects)
	})
	return err
}

// survey is a question to every other member of the map that waits for its answers.
type survey struct {
	waits map[ring.NodeID]bool
	keys  int64
	done  chan struct{}
}

// clusterKeys asks every member how many live keys it holds. All must answer.
func (n *Node) clusterKeys(m *ring.Map, deadline time.Time) (int64, error) {
	s := &survey{waits: map[ring.NodeID]bool{}, done: make(chan struct{})}
	var id uint64
	missing := ""
	n.tick(func(now int64) {
		n.mu.token++
		id = n.mu.token
		hints, _ := n.store.HintStats()
		s.keys = n.ownKeys() + int64(hints)
		for _, x := range m.Members {
			if x.ID == n.id.Node {
				continue
			}
			if !n.mu.up[x.ID] {
				missing = x.Name
				return
			}
			s.waits[x.ID] = true
			n.send(x.ID, wire.Item{Kind: wire.ItemSurvey, ID: id})
		}
		n.mu.surveys[id] = s
		if len(s.waits) == 0 {
			close(s.done)
		}
	})
	if missing != "" {
		return 0, fmt.Errorf("every member must answer before another can join; %q does not", missing)
	}
	defer func() {
		n.mu.Lock()
		delete(n.mu.surveys, id)
		n.mu.Unlock()
	}()
	select {
	case <-s.done:
		return s.keys, nil
	case <-time.After(time.Until(deadline)):
		return 0, errors.New("every member must answer before another can join; some did not in time")
	case <-n.ctx.Done():
		return 0, errors.New("the member asked is stopping")
	}
}

// ownKeys is the number of live keys of all replicas of this node. The lock is held.
func (n *Node) ownKeys() int64 {
	now := n.wall()
	keys := int64(0)
	for _, p := range n.store.Partitions() {
		keys += n.store.Count(p, now)
	}
	return keys
}

func (n *Node) onSurvey(now int64, from ring.NodeID, it *wire.Item) {
	answer := wire.Item{Kind: wire.ItemSurveyed, ID: it.ID, Blob: []byte{0}}
	if hints, _ := n.store.HintStats(); n.ownKeys() > 0 || hints > 0 {
		answer.Blob[0] = 1
	}
	n.send(from, answer)
}

func (n *Node) onSurveyed(from ring.NodeID, it *wire.Item) {
	s := n.mu.surveys[it.ID]
	if s == nil || !s.waits[from] || len(it.Blob) != 1 {
		return
	}
	delete(s.waits, from)
	s.keys += int64(it.Blob[0])
	if len(s.waits) == 0 {
		close(s.done)
	}
}
