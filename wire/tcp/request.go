package tcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// dial connects to an address that may be spoken to and tracks the connection.
func (t *Transport) dial(ctx context.Context, addr string) (net.Conn, error) {
	conn, err := t.cfg.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	if !t.cfg.allowed(conn.RemoteAddr()) {
		_ = conn.Close()
		return nil, fmt.Errorf("%w: %s", ErrNotLoopback, addr)
	}
	if !t.track(conn) {
		_ = conn.Close()
		return nil, ErrClosed
	}
	return conn, nil
}

// Request asks the node at addr one question (at most 1 MiB) as a stranger and returns its answer. The errors are those
// of the handshake, of the network and of ctx, and ErrRefused when the other end closes without an answer. Without a
// deadline in ctx it waits as long as the other end thinks.
func (t *Transport) Request(ctx context.Context, addr string, frame []byte) ([]byte, error) {
	if len(frame) > maxRequest {
		return nil, ErrFrameSize
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.ctx, cancel)()
	reply, err := t.request(ctx, addr, frame)
	switch {
	case err == nil:
		return reply, nil
	case t.ctx.Err() != nil:
		return nil, ErrClosed
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	return nil, err
}

func (t *Transport) request(ctx context.Context, addr string, frame []byte) ([]byte, error) {
	dialCtx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	conn, err := t.dial(dialCtx, addr)
	if err != nil {
		return nil, err
	}
	defer t.drop(conn)
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()

	_ = conn.SetDeadline(time.Now().Add(handshakeTimeout))
	if _, err := t.greet(conn, preambleStranger, 0); err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(requestTimeout))
	if err := writeFrame(conn, frame); err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Time{})
	reply, err := newReader(conn, t.cfg.MaxFrame, 0).next()
	if errors.Is(err, io.EOF) {
		return nil, ErrRefused
	}
	if err != nil {
		return nil, err
	}
	return append([]byte(nil), reply...), nil
}

// receiveStranger serves one question.
func (t *Transport) receiveStranger(conn net.Conn) {
	defer t.drop(conn)
	served := false
	remote, err := t.answer(conn, preambleStranger, func(Identity) byte {
		if t.cfg.OnStranger == nil {
			return verdictUnknown
		}
		select {
		case t.strangers <- struct{}{}:
			served = true
			return verdictOK
		default:
			return verdictBusy
		}
	})
	<-t.handshakes
	if served {
		defer func() { <-t.strangers }()
	}
	if err == nil {
		err = t.serveStranger(conn, remote)
	}
	if err != nil && !errors.Is(err, io.EOF) { // who only asks who is here hangs up: see Probe
		t.log.warn("stranger "+kindOf(err), "stranger not served",
			"addr", conn.RemoteAddr(), "peer", t.cfg.Name(remote.Node), "cause", err)
	}
}

func (t *Transport) serveStranger(conn net.Conn, remote Identity) error {
	_ = conn.SetDeadline(time.Now().Add(requestTimeout))
	question, err := newReader(conn, maxRequest, 0).next()
	if err != nil {
		return err
	}
	reply := t.cfg.OnStranger(remote, question)
	if reply == nil {
		return nil
	}
	_ = conn.SetDeadline(time.Now().Add(requestTimeout))
	return writeFrame(conn, reply)
}

// writeFrame writes one frame, in fragments when it is large, with nothing between them.
func writeFrame(conn net.Conn, frame []byte) error {
	unit := append(make([]byte, HeaderSize, HeaderSize+len(frame)), frame...)
	box := newOutbox(len(unit), nil)
	if err := box.push(unit); err != nil {
		return err
	}
	w := writer{conn: conn, box: box, stall: requestTimeout}
	for {
		w.fill()
		if len(w.batch) == 0 {
			return nil
		}
		if err := w.flush(); err != nil {
			return err
		}
	}
}

// DialGossip opens a gossip stream to the peer port at addr. The connection belongs to the caller.
func (t *Transport) DialGossip(ctx context.Context, addr string) (net.Conn, error) {
	conn, err := t.dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	t.untrack(conn)
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetWriteDeadline(deadline)
	}
	if _, err := conn.Write([]byte{preambleGossip}); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, conn.SetWriteDeadline(time.Time{})
}
