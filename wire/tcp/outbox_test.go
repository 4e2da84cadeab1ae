package tcp

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// socket is a connection that notes what is written, at once or by the writer.
type socket struct {
	net.Conn
	mu      sync.Mutex // the writer's goroutine writes while a test looks
	room    int        // bytes it takes at once
	written []byte
	calls   int // of takeNow
}

func (s *socket) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.written = append(s.written, b...)
	return len(b), nil
}
func (s *socket) SetWriteDeadline(time.Time) error { return nil }

func (s *socket) takeNow(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	n := min(s.room, len(b))
	s.room -= n
	s.written = append(s.written, b[:n]...)
	return n, nil
}

// newSending returns an outbox and a writer on the connection; frames of a burst are written at once too.
func newSending(s *socket) (*outbox, *writer) {
	box := newOutbox(1<<30, s.takeNow)
	box.gather = 0
	return box, &writer{conn: s, box: box, stall: time.Hour}
}

// drain writes all that waits.
func (w *writer) drain(t *testing.T) {
	t.Helper()
	for w.fill(); len(w.batch) > 0; w.fill() {
		if err := w.flush(); err != nil {
			t.Fatal(err)
		}
	}
}

// framesIn takes the bytes of a connection apart.
func framesIn(t *testing.T, data []byte) (frames [][]byte) {
	t.Helper()
	rd := newReader(&scripted{data: data, piece: len(data)}, 1<<30, 0)
	for {
		f, err := rd.next()
		if errors.Is(err, io.EOF) {
			return frames
		}
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, bytes.Clone(f))
	}
}

func sameFrames(t *testing.T, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d frames, want %d", len(got), len(want))
	}
	for i := range got {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("frame %d: %d bytes, want %d", i, len(got[i]), len(want[i]))
		}
	}
}

func TestWhatTheConnectionDoesNotTakeFollows(t *testing.T) {
	frames := [][]byte{pattern(5, 1), {}, pattern(300, 2), pattern(40, 3)}
	total := 0
	for _, f := range frames {
		total += HeaderSize + len(f)
	}
	for room := range total + 1 {
		s := &socket{room: room}
		box, w := newSending(s)
		for _, f := range frames {
			unit := unitOf(f)
			if err := box.push(unit); err != nil {
				t.Fatal(err)
			}
			clear(unit) // the caller's again
		}
		want(t, "written at once", len(s.written), room)
		want(t, "queued", box.queued, total-room)
		w.drain(t)
		want(t, "queued", box.queued, 0)
		s.room = 1 << 20
		if err := box.push(unitOf(frames[0])); err != nil {
			t.Fatal(err)
		}
		want(t, "room left", s.room, 1<<20-HeaderSize-len(frames[0])) // at once again
		sameFrames(t, framesIn(t, s.written), append(frames[:len(frames):len(frames)], frames[0]))
	}
}

func TestWhileTheWriterWritesNothingPasses(t *testing.T) {
	s := &socket{}
	box, w := newSending(s)
	push := func(f []byte) {
		t.Helper()
		if err := box.push(unitOf(f)); err != nil {
			t.Fatal(err)
		}
	}
	large := pattern(2*FragmentSize+1, 9)
	for _, waiting := range [][]byte{{1}, large} {
		s.room = 0
		push(waiting)
		s.room, s.calls = 1<<20, 0
		for w.fill(); len(w.batch) > 0; w.fill() {
			if !bytes.Equal(waiting, large) {
				push([]byte{2})
				waiting = large
			}
			if err := w.flush(); err != nil {
				t.Fatal(err)
			}
		}
		want(t, "written at once", s.calls, 0)
		push([]byte{3})
		want(t, "written at once", s.calls, 1)
	}
	sameFrames(t, framesIn(t, s.written), [][]byte{{1}, {2}, {3}, large, {3}})
}

// Frames of a burst share a write; large ones need not.
func TestBurstGathers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &socket{room: 1 << 30}
		box, w := newSending(s)
		box.gather = gather
		push := func(f []byte) {
			t.Helper()
			if err := box.push(unitOf(f)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(gather)
		push([]byte{1})
		push([]byte{2})
		push([]byte{3})
		want(t, "written at once", s.calls, 1)
		w.drain(t)
		big := pattern(gatherBelow, 1)
		push(big)
		want(t, "written at once", s.calls, 2)
		time.Sleep(gather)
		push([]byte{4})
		want(t, "written at once", s.calls, 3)
		sameFrames(t, framesIn(t, s.written), [][]byte{{1}, {2}, {3}, big, {4}})
	})
}

func TestPingOnlyAfterSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const every = 250 * time.Millisecond
		s := &socket{room: 1 << 30}
		box, w := newSending(s)
		done, stopped := make(chan struct{}), make(chan struct{})
		go func() { _ = w.run(done, every); close(stopped) }()
		pings := func() (n int) {
			synctest.Wait()
			s.mu.Lock()
			defer s.mu.Unlock()
			for b := s.written; len(b) > 0; {
				h, err := decodeHeader(b)
				if err != nil {
					t.Fatal(err)
				}
				if h.kind == typePing {
					n++
				}
				b = b[HeaderSize+h.length:]
			}
			return n
		}
		time.Sleep(10*every + every/2)
		want(t, "pings in silence", pings(), 10)
		for range 100 {
			if err := box.push(unitOf([]byte("x"))); err != nil {
				t.Fatal(err)
			}
			time.Sleep(every / 2)
		}
		want(t, "pings while something is said", pings(), 10)
		time.Sleep(every/2 + every/8)
		want(t, "pings after a silence", pings(), 11)
		want(t, "said at once", s.calls, 100)

		// Behind the rest of a frame no ping is needed, and none may come into it.
		s.mu.Lock()
		s.room = 20
		s.mu.Unlock()
		for range 2 {
			if err := box.push(unitOf(make([]byte, 100))); err != nil {
				t.Fatal(err)
			}
		}
		want(t, "pings", pings(), 11)
		close(done)
		<-stopped
	})
}
