package engine

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// segment is a file of the log that is still needed.
type segment struct {
	num   uint32
	write vfs.File // nil for one that an earlier run wrote
	read  vfs.File // opened when first needed
	at    int64    // bytes used
	last  uint64   // sequence of its last record
	dirty bool     // under seglog.mu: has bytes that were not fsynced
	scant bool     // made of the reserve, without room of its own: see openSpare
}

// seglog is the log: a row of segments of which the last is written. The single caller appends, rotates and recycles;
// fsyncs may come from anywhere.
//
// Nothing waits for the disk under mu. Fsyncs come one at a time (syncing), older segments first. A segment is given
// back only after a spill that began with an fsync of all of it, so none is closed while it is being fsynced.
type seglog struct {
	fs      vfs.FS
	dir     string
	size    int64 // a segment is left when it has grown to this, bytes
	limit   int64 // all segments together, bytes
	reserve uint64
	fail    func(error)

	seq      uint64        // of the last record
	durable  atomic.Uint64 // highest sequence known to be on the disk
	syncs    atomic.Int64
	used     atomic.Int64 // bytes of all live segments
	spilling atomic.Bool  // a round is under way

	mu   sync.Mutex
	live []*segment // oldest first

	syncing chan struct{} // held by who fsyncs
	lost    error         // under syncing: a failed fsync; no later one says that those bytes are on the disk
	spares  spares
}

func newSeglog(fs vfs.FS, dir string, o *Options, fail func(error)) *seglog {
	l := &seglog{fs: fs, dir: dir, limit: o.LogBytes, fail: fail, reserve: uint64(o.ReserveBytes), syncing: make(chan struct{}, 1)}
	l.size = max(l.limit/segmentsInLog, leastSegment)
	l.spares.init()
	return l
}

const (
	segmentsInLog = 8
	leastSegment  = 64 << 10
)

func (l *seglog) current() *segment { return l.live[len(l.live)-1] }

// append writes a record, whose first tickHeader bytes it fills in, behind the last one, with one write. After an error that wraps
// ErrFull nothing has changed and the same record may be tried again.
func (l *seglog) append(b []byte) (at int64, err error) {
	s := l.current()
	if s.at+int64(len(b)) > longestSegment {
		return 0, fmt.Errorf("%w: the log cannot change to its next segment", ErrFull)
	}
	sealTick(b, s.num, l.seq+1, l.durable.Load())
	if _, err = s.write.WriteAt(b, s.at); err != nil {
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
			return 0, fmt.Errorf("%w: %w", ErrFull, err)
		}
		err = fmt.Errorf("engine: write to the log failed: %w", err)
		l.fail(err)
		return 0, err
	}
	l.mu.Lock()
	at, s.at, s.last, s.dirty = s.at, s.at+int64(len(b)), l.seq+1, true
	l.seq++
	l.mu.Unlock()
	l.used.Add(int64(len(b)))
	return at, nil
}

// sync fsyncs everything written before the call.
func (l *seglog) sync() error {
	l.syncing <- struct{}{}
	defer func() { <-l.syncing }()
	if l.lost != nil {
		return l.lost
	}
	var files []*segment
	l.mu.Lock()
	upto := l.seq
	for _, s := range l.live {
		if s.dirty {
			s.dirty = false
			files = append(files, s)
		}
	}
	l.mu.Unlock()
	for _, s := range files {
		l.syncs.Add(1)
		if err := s.write.SyncData(); err != nil {
			// Never repeated: the kernel may have dropped the pages and report success the second time.
			err = fmt.Errorf("engine: fsync of the log failed: %w", err)
			l.lost = err
			l.fail(err)
			return err
		}
	}
	if upto > l.durable.Load() { // only who holds syncing writes it
		l.durable.Store(upto)
	}
	return nil
}

// rotate goes on in a new segment if there is one ready. The old one has no more bytes added.
func (l *seglog) rotate() bool {
	select {
	case s := <-l.spares.ready:
		l.mu.Lock()
		l.live = append(l.live, s)
		l.mu.Unlock()
		return true
	default:
		return false
	}
}

// recycle gives back the segments up to a number.
func (l *seglog) recycle(through uint32) {
	for len(l.live) > 0 && l.live[0].num <= through {
		s := l.live[0]
		l.mu.Lock()
		l.live = l.live[1:]
		l.mu.Unlock()
		l.used.Add(-s.at)
		s.close()
		if s.at > 2*l.size { // it held a large tick: used again it would keep that room for ever
			_ = l.fs.Remove(l.path(s.num)) // else removed at the next Open
			l.spares.wake()
			continue
		}
		l.spares.giveBack(s.num)
	}
}

func (s *segment) close() {
	if s.write != nil {
		_ = s.write.Close() // it is on the disk, or has been reported
	}
	if s.read != nil {
		_ = s.read.Close()
	}
	s.write, s.read = nil, nil
}

// reader returns a handle for reading a live segment, nil when the segment is not live.
func (l *seglog) reader(num uint32) (vfs.File, error) {
	for _, s := range l.live {
		if s.num != num {
			continue
		}
		var err error
		if s.read == nil {
			s.read, err = l.fs.Open(l.path(num))
		}
		return s.read, err
	}
	return nil, nil
}

func (l *seglog) path(num uint32) string { return l.fs.PathJoin(l.dir, segmentName(num)) }

// close ends the goroutine and closes the files. What was not fsynced stays with the operating system.
func (l *seglog) close() {
	l.spares.close()
	l.syncing <- struct{}{}
	defer func() { <-l.syncing }()
	l.mu.Lock()
	live := l.live
	l.live = nil
	l.mu.Unlock()
	for _, s := range live {
		s.close()
	}
}
