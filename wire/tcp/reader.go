package tcp

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

const (
	readBuffer     = 64 << 10
	readBufferFull = readBuffer + HeaderSize + FragmentSize // once fragments arrive, or much at once
)

// reader takes frames off a connection. A whole frame is handed out where it lies in the buffer.
type reader struct {
	conn    net.Conn
	silence time.Duration // longest time without a byte; 0: the connection's own deadline
	armed   time.Time     // when the deadline was last moved
	buf     []byte
	r, w    int  // unread bytes are buf[r:w]
	filled  bool // the last read filled the buffer: a larger one would have taken more
	parts   assembly
	max     int
}

func newReader(conn net.Conn, maxFrame int, silence time.Duration) *reader {
	return &reader{
		conn: conn, silence: silence, max: maxFrame,
		buf: make([]byte, readBuffer), parts: assembly{max: maxFrame},
	}
}

// next returns the next frame, valid until the next call.
func (rd *reader) next() ([]byte, error) {
	for {
		h, payload, err := rd.unit()
		if err != nil {
			return nil, err
		}
		if h.kind == typePing {
			continue
		}
		if h.stream == 0 {
			if len(payload) > rd.max {
				return nil, fmt.Errorf("%w: %w", ErrProtocol, ErrFrameSize)
			}
			return payload, nil
		}
		frame, err := rd.parts.add(h, payload)
		if err != nil || frame != nil {
			return frame, err
		}
	}
}

// more reports whether the buffer holds the end of another frame, so that next returns it, or an error, without a read.
func (rd *reader) more() bool {
	for b := rd.buf[rd.r:rd.w]; len(b) >= HeaderSize; {
		h, err := decodeHeader(b)
		if err != nil {
			return true // next finds it too
		}
		if len(b) < HeaderSize+h.length {
			return false
		}
		if h.kind == typeData && !h.more {
			return true
		}
		b = b[HeaderSize+h.length:]
	}
	return false
}

// unit returns the next header and its payload.
func (rd *reader) unit() (header, []byte, error) {
	if err := rd.need(HeaderSize); err != nil {
		return header{}, nil, err
	}
	h, err := decodeHeader(rd.buf[rd.r:])
	if err != nil {
		return header{}, nil, err
	}
	if err := rd.need(HeaderSize + h.length); err != nil {
		return header{}, nil, err
	}
	b := rd.buf[rd.r : rd.r+HeaderSize+h.length]
	rd.r += len(b)
	payload := b[HeaderSize:]
	return h, payload, h.check(b[:8], payload)
}

// need reads until n unread bytes are there. n is at most HeaderSize+FragmentSize.
func (rd *reader) need(n int) error {
	if rd.w-rd.r >= n {
		return nil
	}
	if rd.r == rd.w || len(rd.buf)-rd.r < n || len(rd.buf)-rd.w < len(rd.buf)/2 || rd.filled {
		rd.makeRoom(n)
	}
	for rd.w-rd.r < n {
		if err := rd.arm(); err != nil {
			return err
		}
		got, err := rd.conn.Read(rd.buf[rd.w:])
		rd.w += got
		rd.filled = rd.w == len(rd.buf)
		if got == 0 && err != nil {
			return silent(err)
		}
	}
	return nil
}

// makeRoom moves the unread bytes to the front, of a larger buffer if n bytes would not fit into this one or the last
// read filled it.
func (rd *reader) makeRoom(n int) {
	to := rd.buf
	switch {
	case n > len(to):
		to = make([]byte, readBufferFull)
	case rd.filled && len(to) < readBufferFull:
		to = make([]byte, min(2*len(to), readBufferFull))
	}
	rd.filled = false
	rd.w = copy(to, rd.buf[rd.r:rd.w])
	rd.r = 0
	rd.buf = to
}

// arm moves the deadline on, but not at each read: a sixteenth too early is near enough.
func (rd *reader) arm() error {
	if rd.silence == 0 {
		return nil
	}
	if time.Since(rd.armed) < rd.silence/16 {
		return nil
	}
	rd.armed = time.Now()
	return rd.conn.SetReadDeadline(rd.armed.Add(rd.silence))
}

// silent says a timeout in this package's words.
func silent(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ErrSilent
	}
	return err
}
