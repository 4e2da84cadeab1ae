package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"sync/atomic"

	"shoal/causal"
	"shoal/ring"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Store keeps containers in one directory. See the package comment for who may call what.
type Store struct {
	opt    Options
	fs     *walFS
	dir    string // of the sorted store, inside opt.Dir
	lock   *pebble.Lock
	db     *pebble.DB
	log    *slog.Logger
	run    run
	closed bool
	failed atomic.Pointer[error] // set once; nothing is written afterwards

	replicas map[ring.Partition]*replica
	born     []causal.Actor // actors issued in this run, so that none is issued twice

	batch   *pebble.Batch     // of the current tick
	pending map[string]*entry // rows written in the current tick, by row name
	cache   rowCache
	pushed  bool // part of the tick went to Pebble before its end
	sweeps  []sweep

	name, value []byte // scratch
	stats       counters
}

// replica is what the store keeps of one partition beside its rows.
type replica struct {
	causal.Replica
	counts counts
	unsnap int // dots logged since the last snapshot of the clock
}

// Open opens the store in o.Dir, creating it when there is none, and begins a new life of every replica in it. When
// it returns, the incarnation is fsynced and so is everything that the last run left.
//
// It refuses a directory that another process has open, and one whose clocks or newest log entries are unreadable;
// unreadable rows are only counted, because the other replicas can make them good.
func Open(o Options) (*Store, error) {
	o.defaults()
	s := &Store{
		opt:      o,
		log:      o.Log,
		dir:      o.FS.PathJoin(o.Dir, "rows"),
		replicas: map[ring.Partition]*replica{},
		pending:  map[string]*entry{},
		cache:    rowCache{limit: max(o.CacheBytes/2, 1<<20)},
	}
	s.fs = newWALFS(o.FS, o.Durability != Always, s.fatal)
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.release())
	}
	return s, nil
}

func (s *Store) open() error {
	if err := makeDirs(s.fs, s.opt.Dir, s.dir); err != nil {
		return err
	}
	lock, err := pebble.LockDirectory(s.dir, s.fs)
	if err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("engine: folder %s cannot be locked: %w", s.opt.Dir, err)
		}
		return fmt.Errorf("engine: folder %s is in use by another process (%w)", s.opt.Dir, err)
	}
	s.lock = lock
	if err := s.beginRun(); err != nil {
		return err
	}
	if s.db, err = pebble.Open(s.dir, s.pebbleOptions()); err != nil {
		return fmt.Errorf("engine: open %s: %w", s.dir, err)
	}
	s.batch = s.db.NewBatch()
	if err := s.loadReplicas(); err != nil {
		return err
	}
	if err := s.settleRun(); err != nil {
		return err
	}
	return s.countAll()
}

func makeDirs(disk vfs.FS, outer, inner string) error {
	if err := disk.MkdirAll(inner, 0o700); err != nil {
		return err
	}
	if err := syncDir(disk, outer); err != nil {
		return err
	}
	if parent := filepath.Dir(outer); parent != outer {
		return syncDir(disk, parent)
	}
	return nil
}

// beginRun reads what the last run left, cuts a tail that Pebble would misunderstand and makes this run known.
func (s *Store) beginRun() error {
	last, found, err := readRun(s.fs, s.opt.Dir)
	if err != nil {
		return err
	}
	if !found {
		last = run{clean: true}
		if _, num, err := lastLog(s.fs, s.dir); err != nil {
			return err
		} else if num != 0 { // rows without their run file: nobody knows how it stopped
			last = run{deferred: true, tailLost: true}
		}
	}
	if !last.clean && last.deferred {
		cut, err := cutTail(s.fs, s.dir)
		if err != nil {
			return err
		}
		if cut > 0 {
			s.log.Warn("cut an unfinished tail of the log", "bytes", cut)
		}
	}
	s.run = last.next(s.opt.MachineBoot, s.opt.Durability != Always)
	s.run.incarnation = s.newActor(func(a causal.Actor) bool { return a == last.incarnation })
	return writeRun(s.fs, s.opt.Dir, s.run)
}

// settleRun is called when all that the last run wrote is durable and all clocks are known.
func (s *Store) settleRun() error {
	s.run.deferred = s.opt.Durability != Always
	if s.knownActor(s.run.incarnation) {
		s.run.incarnation = s.newActor(s.knownActor)
	}
	for _, r := range s.replicas {
		r.Life, r.Seq = s.run.incarnation, 0
	}
	return writeRun(s.fs, s.opt.Dir, s.run)
}

// newActor draws an actor that was neither issued in this run nor is refused by taken.
func (s *Store) newActor(taken func(causal.Actor) bool) causal.Actor {
	for {
		a := causal.NewActor(s.opt.Now(), s.opt.Random())
		if !slices.Contains(s.born, a) && !taken(a) {
			s.born = append(s.born, a)
			return a
		}
	}
}

func (s *Store) knownActor(a causal.Actor) bool {
	for _, r := range s.replicas {
		if r.Clock.Max(a) > 0 || r.Flushed.Max(a) > 0 {
			return true
		}
	}
	return false
}

// Close ends the tick, snapshots the clocks, fsyncs everything and releases the directory.
func (s *Store) Close() error {
	if s.closed {
		return nil
	}
	for _, p := range s.Partitions() {
		if s.replicas[p].unsnap > 0 {
			s.snapshot(p)
		}
	}
	err := s.EndTick()
	if err == nil {
		err = s.db.Flush()
	}
	if err == nil {
		err = s.Sync()
	}
	clean := err == nil
	return errors.Join(err, s.releaseRun(clean))
}

func (s *Store) releaseRun(clean bool) error {
	err := s.closeDB()
	if clean && err == nil && s.failed.Load() == nil {
		s.run.clean = true
		err = writeRun(s.fs, s.opt.Dir, s.run)
	}
	return errors.Join(err, s.release())
}

func (s *Store) closeDB() error {
	if s.db == nil {
		return nil
	}
	err := errors.Join(s.batch.Close(), s.db.Close())
	s.db, s.closed = nil, true
	return err
}

func (s *Store) release() error {
	err := s.closeDB()
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
		s.lock = nil
	}
	return err
}

// Incarnation is the actor of this run: fresh, and never one that an earlier run of this or any copied directory used.
func (s *Store) Incarnation() causal.Actor { return s.run.incarnation }

// TailMayBeLost reports whether writes that were acknowledged may be missing: an earlier run deferred its fsyncs, did
// not stop cleanly, and the machine has booted since, or may have. It stays so over further runs until TailRestored.
func (s *Store) TailMayBeLost() bool { return s.run.tailLost }

// TailRestored says that every replica here has taken in from others what it may have lost. Durable before return.
func (s *Store) TailRestored() error {
	if !s.run.tailLost {
		return nil
	}
	if err := s.Sync(); err != nil { // what was taken in must not be younger than the mark
		return err
	}
	s.run.tailLost = false
	return writeRun(s.fs, s.opt.Dir, s.run)
}

func (s *Store) fatal(err error) {
	if s.failed.CompareAndSwap(nil, &err) {
		s.opt.OnFatal(err)
	}
}

func (s *Store) failure() error {
	if err := s.failed.Load(); err != nil {
		return *err
	}
	return nil
}
