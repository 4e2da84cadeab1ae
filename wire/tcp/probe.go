package tcp

import (
	"context"
	"time"
)

// Probe asks who answers at addr and hangs up. The identity is proven: the other end holds the cluster secret. The
// errors are those of the handshake, of the network (a refused connection among them) and of ctx.
func (t *Transport) Probe(ctx context.Context, addr string) (Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	conn, err := t.dial(ctx, addr)
	if err != nil {
		return Identity{}, err
	}
	defer t.drop(conn)
	_ = conn.SetDeadline(time.Now().Add(handshakeTimeout))
	return t.greet(conn, preambleStranger, 0)
}
