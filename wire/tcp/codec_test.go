package tcp

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// scripted is a connection that yields bytes in pieces of a given size.
type scripted struct {
	net.Conn
	data  []byte
	piece int
}

func (s *scripted) Read(b []byte) (int, error) {
	if len(s.data) == 0 {
		return 0, io.EOF
	}
	n := copy(b, s.data[:min(len(s.data), s.piece)])
	s.data = s.data[n:]
	return n, nil
}
func (s *scripted) SetReadDeadline(time.Time) error { return nil }

func FuzzReader(f *testing.F) {
	seed := appendUnit(nil, typeData, 0, false, []byte("whole"))
	seed = appendUnit(seed, typePing, 0, false, nil)
	seed = appendUnit(seed, typeData, 7, true, []byte("first "))
	seed = appendUnit(seed, typeData, 7, false, []byte("last"))
	f.Add(seed, uint16(3))
	f.Add(seed[:len(seed)-1], uint16(100))
	f.Fuzz(func(t *testing.T, data []byte, piece uint16) {
		const limit = 1000
		frames := func(piece int) (out [][]byte, err error) {
			rd := newReader(&scripted{data: data, piece: piece}, limit, 0)
			for {
				frame, err := rd.next()
				if err != nil {
					return out, err
				}
				if len(frame) > limit {
					t.Fatalf("a frame of %d bytes", len(frame))
				}
				out = append(out, bytes.Clone(frame))
			}
		}
		whole, err := frames(len(data) + 1)
		if !errors.Is(err, io.EOF) && !errors.Is(err, ErrProtocol) {
			t.Fatal(err)
		}
		// However the bytes are cut, they say the same.
		split, err2 := frames(int(piece) + 1)
		if len(whole) != len(split) || errors.Is(err, io.EOF) != errors.Is(err2, io.EOF) {
			t.Fatalf("%d frames, %v; split %d, %v", len(whole), err, len(split), err2)
		}
		for i := range whole {
			if !bytes.Equal(whole[i], split[i]) {
				t.Fatalf("frame %d", i)
			}
		}
	})
}

func FuzzHeader(f *testing.F) {
	f.Add(appendUnit(nil, typeData, 3, true, []byte("x")))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < HeaderSize {
			return
		}
		h, err := decodeHeader(b)
		if err != nil {
			return
		}
		if h.length > FragmentSize {
			t.Fatal(h.length)
		}
		if len(b) < HeaderSize+h.length || h.check(b[:8], b[HeaderSize:HeaderSize+h.length]) != nil {
			return
		}
		if again := appendUnit(nil, h.kind, h.stream, h.more, b[HeaderSize:HeaderSize+h.length]); !bytes.Equal(
			again, b[:len(again)]) {
			t.Fatalf("%x is not the only form of %+v", b, h)
		}
	})
}

func FuzzHello(f *testing.F) {
	good := hello{Identity: Identity{Node: 1, Incarnation: 2, Cluster: testCluster, Version: 3, Capabilities: 4}}.encode()
	f.Add(good[:])
	f.Fuzz(func(t *testing.T, b []byte) {
		var in [helloSize]byte
		copy(in[:], b)
		h, err := decodeHello(in)
		if err != nil {
			return
		}
		if h.encode() != in {
			t.Fatalf("%x is not the only form of %+v", in, h)
		}
	})
}
