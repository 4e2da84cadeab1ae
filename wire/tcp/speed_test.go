package tcp

import (
	"net"
	"testing"
	"time"
)

func TestSmallFramesDoNotAllocate(t *testing.T) {
	box := newOutbox(1<<20, nil)
	w := writer{conn: discard{}, box: box, stall: 1 << 40}
	frame := make([]byte, 200)
	unit := unitOf(frame)
	push := func() {
		for range 50 {
			if err := box.push(unit); err != nil {
				t.Fatal(err)
			}
		}
	}
	step := func() {
		push()
		w.fill()
		if err := w.flush(); err != nil {
			t.Fatal(err)
		}
	}
	step()
	step()
	step()
	if n := testing.AllocsPerRun(100, step); n != 0 {
		t.Errorf("sending: %v allocations", n)
	}
	w.fill() // the connection is free again
	box.direct, box.gather = discard{}.Write, 0
	if n := testing.AllocsPerRun(100, push); n != 0 {
		t.Errorf("sending at once: %v allocations", n)
	}

	var data []byte
	for range 1000 {
		data = appendUnit(data, typeData, 0, false, frame)
	}
	in := &scripted{piece: 4096}
	rd := newReader(in, 1<<20, 0)
	if n := testing.AllocsPerRun(10, func() {
		in.data = data
		for range 1000 {
			if _, err := rd.next(); err != nil {
				t.Fatal(err)
			}
		}
	}); n != 0 {
		t.Errorf("receiving: %v allocations", n)
	}
}

// discard is a connection that takes everything.
type discard struct{ net.Conn }

func (discard) Write(b []byte) (int, error)      { return len(b), nil }
func (discard) SetWriteDeadline(time.Time) error { return nil }
