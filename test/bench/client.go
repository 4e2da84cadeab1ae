//go:build linux

package main

import "fmt"

// client is one logical client: it has one batch of commands under way, on one connection. A plain client has one
// connection; a cluster client has one to each node, and sends a batch to the node that owns its keys.
type client struct {
	conns []*conn
	buf   []byte   // the batch as it is sent
	keys  []uint32 // multi for each command
	verbs []verb   // with the trailing WAIT, if any
	at    int      // the command that is answered next
	elem  int      // elements of its reply that are there: an MGET has 1 + multi
	start int64    // when the batch was sent, or should have been: ns since the run's start
	write bool     // which pool it belongs to, at a fixed rate
}

// accept checks one reply to the batch. It reports whether that completes a command. Anything that is not the expected
// answer fails: an error of the server, a MOVED, a value that was never written to this key, a missing key.
func (c *client) accept(r reply, rq *requests) (bool, error) {
	if c.at == len(c.verbs) {
		return false, fmt.Errorf("an answer that nothing asked for: %c%s", r.kind, clip(r.body))
	}
	v := c.verbs[c.at]
	if r.kind == '-' {
		return false, fmt.Errorf("%s %s: the server says: %s", v, c.name(rq), clip(r.body))
	}
	good, complete := false, true
	switch v {
	case set, mset:
		good = r.kind == '+' && string(r.body) == "OK"
	case get:
		good = r.kind == '$' && r.n >= 0 && rq.values.check(r.body, c.keys[c.at])
	case wait:
		good = r.kind == ':'
	case mget:
		if c.elem == 0 {
			good = r.kind == '*' && r.n == rq.multi
		} else {
			good = r.kind == '$' && r.n >= 0 && rq.values.check(r.body, c.keys[c.at*rq.multi+c.elem-1])
		}
		c.elem++
		complete = c.elem == 1+rq.multi
	}
	if !good {
		return false, fmt.Errorf("%s %s: wrong answer: %c, %d, %q", v, c.name(rq), r.kind, r.n, clip(r.body))
	}
	if complete {
		c.at++
		c.elem = 0
	}
	return complete, nil
}

// name is the first key of the command that is answered next, for messages.
func (c *client) name(rq *requests) []byte {
	if i := c.at * rq.multi; i < len(c.keys) {
		return appendKey(nil, c.keys[i])
	}
	return nil
}

func clip(b []byte) []byte { return b[:min(len(b), 200)] }
