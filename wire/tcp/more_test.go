package tcp

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// reads counts the reads of a scripted connection.
type reads struct {
	scripted
	n int
}

func (r *reads) Read(b []byte) (int, error) {
	r.n++
	return r.scripted.Read(b)
}

func TestMoreMeansNoRead(t *testing.T) {
	large := pattern(200, 1)
	var data []byte
	add := func(kind uint8, stream uint16, more bool, payload []byte) {
		data = appendUnit(data, kind, stream, more, payload)
	}
	ping := func() { add(typePing, 0, false, nil) }
	add(typeData, 0, false, []byte("one"))
	ping()
	ping()
	add(typeData, 7, true, large[:100])
	add(typeData, 0, false, nil)
	add(typeData, 7, false, large[100:])
	add(typeData, 0, false, pattern(50, 2))
	ping()
	const frames = 4

	for _, end := range []struct {
		name string
		data []byte
		err  error
	}{
		{"nothing", nil, io.EOF},
		{"a fragment", appendUnit(nil, typeData, 9, true, []byte("x")), io.EOF},
		{"garbage", []byte("this is no header"), ErrProtocol},
	} {
		data := append(bytes.Clone(data), end.data...)
		for piece := 1; piece <= len(data); piece++ {
			in := &reads{scripted: scripted{data: data, piece: piece}}
			rd := newReader(in, 1000, 0)
			got, mores := 0, 0
			for more := false; ; {
				before := in.n
				_, err := rd.next()
				if more && in.n != before {
					t.Fatalf("%s, pieces of %d: frame %d was announced, and was not there", end.name, piece, got)
				}
				if err != nil {
					if !errors.Is(err, end.err) {
						t.Fatal(err)
					}
					break
				}
				got++
				if more = rd.more(); more {
					mores++
				}
			}
			want(t, "frames", got, frames)
			if piece == len(data) { // all at once: every frame but the last is followed by one
				announced := frames - 1
				if end.err != io.EOF {
					announced++ // by an error
				}
				want(t, "announced", mores, announced)
			}
		}
	}
}

// However much arrives, a read takes as much as a quarter of a megabyte once reads were seen to fill the buffer.
func TestReadBufferGrowsWithWhatArrives(t *testing.T) {
	data := bytes.Repeat(appendUnit(nil, typeData, 0, false, make([]byte, 1000)), 4000)
	in := &reads{scripted: scripted{data: data, piece: len(data)}}
	rd := newReader(in, 1<<20, 0)
	want(t, "buffer", len(rd.buf), readBuffer)
	for range 4000 {
		if _, err := rd.next(); err != nil {
			t.Fatal(err)
		}
	}
	if len(rd.buf) < FragmentSize {
		t.Fatalf("buffer of %d bytes", len(rd.buf))
	}
	if most := len(data)/FragmentSize + 4; in.n > most {
		t.Fatalf("%d reads of %d bytes", in.n, len(data))
	}

	in = &reads{scripted: scripted{data: data, piece: 5000}}
	rd = newReader(in, 1<<20, 0)
	for range 4000 {
		if _, err := rd.next(); err != nil {
			t.Fatal(err)
		}
	}
	want(t, "buffer", len(rd.buf), readBuffer)
}
