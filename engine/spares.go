package engine

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// spares makes the next segment of the log ready before it is needed, in a goroutine of its own: its blocks allocated
// or taken over from a segment given back, its name fsynced. So going on to the next segment costs nothing, and inside
// a segment there is room even when the disk is full.
type spares struct {
	ready   chan *segment
	freed   chan struct{} // something changed that may let the next one be made
	stop    chan struct{}
	stopped chan struct{}
	upset   chan struct{} // trouble began
	started bool
	made    bool                  // one was made in this run; the goroutine's own
	trouble atomic.Pointer[error] // why none can be made

	next uint32 // number of the next segment; the goroutine's own

	mu   sync.Mutex
	pool []uint32 // numbers of files to be used again
}

func (p *spares) init() {
	p.ready, p.freed = make(chan *segment), make(chan struct{}, 1)
	p.stop, p.stopped, p.upset = make(chan struct{}), make(chan struct{}), make(chan struct{}, 1)
}

func (p *spares) wake() {
	select {
	case p.freed <- struct{}{}:
	default:
	}
}

func (p *spares) giveBack(num uint32) {
	p.mu.Lock()
	p.pool = append(p.pool, num)
	p.mu.Unlock()
	p.wake()
}

// close ends the goroutine, if it was started.
func (p *spares) close() {
	if !p.started {
		return
	}
	select {
	case <-p.stop:
	default:
		close(p.stop)
	}
	<-p.stopped
}

// retryEvery is how long background work waits after an error before it tries again.
const retryEvery = time.Second

// prepare starts the goroutine; numbers begin at next.
func (l *seglog) prepare(next uint32) {
	l.spares.next, l.spares.started = next, true
	go func() {
		p := &l.spares
		defer close(p.stopped)
		for {
			s, err := l.makeSpare()
			switch {
			case err != nil:
				p.trouble.Store(&err)
				select {
				case p.upset <- struct{}{}:
				default:
				}
				select {
				case <-time.After(retryEvery):
				case <-p.freed:
				case <-p.stop:
					return
				}
			case s == nil: // as many as there may be
				select {
				case <-p.freed:
				case <-p.stop:
					return
				}
			default:
				p.trouble.Store(nil)
				select {
				case p.ready <- s:
				case <-p.stop:
					s.close() // found empty at the next Open
					return
				}
			}
		}
	}()
}

// makeSpare returns the next segment, nil when the log is at its limit.
func (l *seglog) makeSpare() (*segment, error) {
	p := &l.spares
	if l.spilling.Load() && l.sealed()+l.size > l.limit { // a round is about to make room
		return nil, nil
	}
	p.mu.Lock()
	num := p.next
	var old uint32
	if n := len(p.pool); n > 0 {
		old = p.pool[n-1]
		p.pool = p.pool[:n-1] // if the rest fails the file waits for the next Open
	}
	p.mu.Unlock()
	f, scant, err := l.openSpare(num, old)
	if err != nil {
		return nil, fmt.Errorf("engine: make segment %d of the log: %w", num, err)
	}
	p.next++
	p.made = true
	return &segment{num: num, write: f, scant: scant}, nil
}

// openSpare makes a segment's file. When the disk is full the first of a run is taken from the reserve, so that a node
// which is started then goes on reading; it gets no room before there is need, and Full counts on none in it.
func (l *seglog) openSpare(num, old uint32) (f vfs.File, scant bool, err error) {
	if old != 0 {
		// Not ReuseForWrite: in Pebble's memory file system it can block for ever beside a CrashClone.
		if err = l.fs.Rename(l.path(old), l.path(num)); err == nil {
			f, err = l.fs.OpenReadWrite(l.path(num), vfs.WriteCategoryUnspecified)
		}
	} else {
		err = l.roomFor(l.size)
		if scant = err != nil && !l.spares.made; err == nil || scant {
			f, err = l.fs.Create(l.path(num), vfs.WriteCategoryUnspecified)
		}
	}
	if err != nil {
		return nil, false, err
	}
	if !scant {
		err = f.Preallocate(0, l.size+l.size/4)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = syncDir(l.fs, l.dir)
	}
	if err != nil {
		_ = f.Close()
		return nil, false, err
	}
	return f, scant, nil
}

// roomFor fails when the disk would have less than the reserve left.
func (l *seglog) roomFor(n int64) error {
	usage, err := l.fs.GetDiskUsage(l.dir)
	if err != nil { // not known here: the write will tell
		return nil
	}
	if usage.AvailBytes < l.reserve+uint64(n) {
		return fmt.Errorf("%w: the disk has %d bytes left, and %d are to stay free", ErrFull, usage.AvailBytes, l.reserve+uint64(n))
	}
	return nil
}

// problem is why no segment can be made, nil while nothing is wrong.
func (p *spares) problem() error {
	if err := p.trouble.Load(); err != nil {
		return *err
	}
	return nil
}

// sealed is the size of the live segments but the current one.
func (l *seglog) sealed() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	var n int64
	for i, s := range l.live {
		if i < len(l.live)-1 {
			n += s.at
		}
	}
	return n
}
