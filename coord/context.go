package coord

import (
	"crypto/hmac"
	"crypto/sha256"

	"shoal/causal"
)

// A client's context is opaque to it: the encoding and a tag over cluster id, key and encoding, made with a key that
// only members have. A forged one could name dots that nobody has issued, and would silently delete later writes.

const tagSize = 16

// seal makes the bytes that a client is given.
func (m *Machine) seal(key []byte, ctx causal.Context) []byte {
	b := ctx.Append(nil)
	return append(b, m.tag(key, b)...)
}

// open checks and decodes a client's bytes. Empty ones have seen nothing.
func (m *Machine) open(key, b []byte) (causal.Context, bool) {
	if len(b) == 0 {
		return causal.Context{}, true
	}
	if len(b) < tagSize {
		return causal.Context{}, false
	}
	body, tag := b[:len(b)-tagSize], b[len(b)-tagSize:]
	if !hmac.Equal(tag, m.tag(key, body)) {
		return causal.Context{}, false
	}
	ctx, err := causal.DecodeContext(body)
	return ctx, err == nil
}

func (m *Machine) tag(key, body []byte) []byte {
	h := hmac.New(sha256.New, m.ring.ContextKey[:])
	h.Write(m.ring.Cluster[:])
	h.Write([]byte{byte(len(key) >> 24), byte(len(key) >> 16), byte(len(key) >> 8), byte(len(key))})
	h.Write(key)
	h.Write(body)
	return h.Sum(nil)[:tagSize]
}

// ahead reports whether the context names something that the clock has not processed: this coordinator is stale.
func ahead(ctx causal.Context, clock *causal.Clock) bool {
	for _, d := range ctx.Vector {
		if !clock.Contains(d) {
			return true
		}
	}
	for _, d := range ctx.Dots {
		if !clock.Contains(d) {
			return true
		}
	}
	return false
}

// unresolved reports whether the context names a single dot that this replica has neither in the row nor processed:
// no vector can say that it was superseded, so the write must wait until the dot is known here.
func unresolved(ctx causal.Context, row causal.Container, clock *causal.Clock) bool {
	for _, d := range ctx.Dots {
		if !row.Vector.Covers(d) && !clock.Contains(d) {
			return true
		}
	}
	return false
}
