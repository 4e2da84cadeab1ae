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
	opt         Options
	fs          *checkFS
	dir         string // of the sorted store, inside opt.Dir
	lock        *pebble.Lock
	db          *pebble.DB
	dbOptions   *pebble.Options
	wal         *seglog
	meta        *metaFiles
	spiller     *spiller
	log         *slog.Logger
	run         run
	afterStop   bool // the last run stopped cleanly
	closed      bool
	corruptSaid seldom
	failed      atomic.Pointer[error] // set once; nothing is written afterwards

	replicas replicas
	born     []causal.Actor // actors issued in this run, so that none is issued twice

	mem       slabs
	cellBytes int64 // of all tables
	complete  bool  // every row is in memory
	barren    int   // slabs emptied since a row left memory or became clean
	arena     causal.Arena

	tick       tick
	logged     loggedDots
	segment    uint32      // of the log that the tick goes to
	dirty      []dirtyRows // per live segment
	ends       []segmentEnd
	spilled    uint32 // segments up to it are in Pebble
	round      *round // under way
	handed     bool   // the round is with the spiller
	forgetting []ring.Partition

	cap      logCap
	hints    hints
	damaged  map[ring.Partition]bool
	sweeps   []sweep
	deadWalk deadWalk
	last     lastFound
	scratch  scratch
	sink     uint32
	stats    counters
}

// replica is what the store keeps of one partition.
type replica struct {
	causal.Replica
	counts  counts
	rows    table
	dots    dotIndex      // of live segments
	logged  dotSet        // dots that the log has entries of, here and in Pebble: those above the horizon
	erase   causal.Vector // dots up to it may have entries in Pebble that are to go with the next round
	changed bool          // since the last snapshot in Pebble
	touched uint64        // record of the log that the last change goes to
	durable durableClock
	dead    deadRows

	loggedKnown bool   // the snapshot that Open read had logged
	lost        bool   // during Open: its clock is unreadable or says too much
	drops       bool   // during Open: its rows in Pebble are to go
	droppedAt   uint64 // record of the log before which no entry counts
}

// Open opens the store in o.Dir, creating it when there is none, and begins a new life of every replica in it. When
// it returns, the incarnation is fsynced and so is everything that the last run left.
//
// It refuses a directory that another process has open, and one whose sorted store cannot say where it stands. Unreadable
// rows are only counted, because the other replicas can make them good. After damage of the log it begins with what
// stands before, and TailMayBeLost; a replica without a clock begins empty, with Filling set.
func Open(o Options) (*Store, error) {
	o.defaults()
	s := &Store{
		opt: o,
		log: o.Log,
		dir: o.FS.PathJoin(o.Dir, "rows"),
	}
	s.fs = &checkFS{FS: o.FS, fail: s.fatal}
	s.wal = newSeglog(s.fs, o.FS.PathJoin(o.Dir, "log"), &s.opt, s.fatal)
	s.tick.reset()
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.release())
	}
	s.spiller = s.newSpiller()
	go s.spiller.run()
	if n := len(s.wal.live); n > 1 {
		s.noteEnd(s.wal.live[n-2].num)
	}
	s.beginRound()
	return s, nil
}

func (s *Store) open() error {
	meta, spill := s.fs.PathJoin(s.opt.Dir, "meta"), s.fs.PathJoin(s.opt.Dir, "spill")
	if err := makeDirs(s.fs, s.opt.Dir, s.dir, s.wal.dir, meta, spill); err != nil {
		return err
	}
	lock, err := pebble.LockDirectory(s.dir, s.fs)
	if err != nil {
		if path := (*fs.PathError)(nil); errors.Is(err, fs.ErrPermission) || errors.As(err, &path) {
			return fmt.Errorf("engine: folder %s cannot be locked: %w", s.opt.Dir, err)
		}
		return fmt.Errorf("engine: folder %s is in use by another process (%w)", s.opt.Dir, err)
	}
	s.lock = lock
	if err := s.beginRun(); err != nil {
		return err
	}
	if s.meta, err = openMeta(s.fs, meta); err != nil {
		return err
	}
	if err := emptyDir(s.fs, spill); err != nil {
		return err
	}
	s.dbOptions = s.pebbleOptions()
	s.dbOptions.EnsureDefaults()
	if s.db, err = pebble.Open(s.dir, s.dbOptions); err != nil {
		return fmt.Errorf("open %s: %w", s.dir, unreadable(err))
	}
	return s.recover()
}

func (s *Store) recover() error {
	if err := s.loadReplicas(); err != nil {
		return err
	}
	if err := s.loadHints(); err != nil {
		return err
	}
	r, err := s.recoverLog()
	if err != nil {
		return err
	}
	if r.cut && !r.damaged {
		s.log.Warn("cut an unfinished tail of the log", "last", r.next-1)
		if n := len(r.found); n > 0 { // else the next Open, behind a clean stop, would take it for damage
			if err := s.endSegment(r.found[n-1]); err != nil {
				return err
			}
		}
		if s.run.deferred { // even on the same boot of the machine it may have been acknowledged
			s.run.tailLost = true
		}
	}
	if r.damaged || !s.afterStop {
		// While the next Open would still find the damage, and also where none is proven: what a round found durable may
		// be gone with nothing behind it that says so.
		if err := s.dropUnprocessed(r.damaged); err != nil {
			return err
		}
	}
	if r.damaged {
		if err := s.setAside(r); err != nil {
			return err
		}
		s.afterStop = false
	}
	if err := s.settleLog(r); err != nil {
		return err
	}
	if r.unsound() {
		for _, rep := range s.replicas.all() {
			rep.lost = true
		}
	}
	if err := s.dropLost(r); err != nil {
		return err
	}
	if err := s.settleRun(); err != nil {
		return err
	}
	s.countHints()
	s.settleLogCap()
	s.settleDurable()
	if err := s.settleHorizons(); err != nil {
		return err
	}
	if s.afterStop && s.takeCounts() {
		return nil
	}
	return s.loadRows()
}

func makeDirs(disk vfs.FS, outer string, inner ...string) error {
	for _, dir := range inner {
		if err := disk.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	if err := syncDir(disk, outer); err != nil {
		return err
	}
	if parent := filepath.Dir(outer); parent != outer {
		return syncDir(disk, parent)
	}
	return nil
}

// beginRun reads what the last run left and makes this run known.
func (s *Store) beginRun() error {
	last, found, err := readRun(s.fs, s.opt.Dir)
	if err != nil {
		return err
	}
	if !found {
		last = run{clean: true}
		if nums, err := listSegments(s.fs, s.wal.dir); err != nil {
			return err
		} else if len(nums) > 0 { // rows without their run file: nobody knows how it stopped
			last = run{deferred: true, tailLost: true}
		}
	}
	s.afterStop = found && last.clean
	s.run = last.next(s.opt.MachineBoot, s.opt.Durability != Always)
	s.run.tailLost = s.run.tailLost || s.opt.Restored
	s.run.incarnation = s.newActor(func(a causal.Actor) bool { return a == last.incarnation })
	return writeRun(s.fs, s.opt.Dir, s.run)
}

// settleRun is called when all that the last run wrote is durable and all clocks are known.
func (s *Store) settleRun() error {
	s.run.deferred = s.opt.Durability != Always
	if s.knownActor(s.run.incarnation) {
		s.run.incarnation = s.newActor(s.knownActor)
	}
	for _, r := range s.replicas.all() {
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
	for _, r := range s.replicas.all() {
		if r.Clock.Max(a) > 0 || r.Flushed.Max(a) > 0 {
			return true
		}
	}
	return false
}

// Close ends the tick, fsyncs and releases the directory. Rows that only the log holds stay there: the next Open reads
// them from it, which costs about what it costs from the sorted store, and a stop takes no time.
func (s *Store) Close() error {
	if s.closed {
		return nil
	}
	err := s.EndTick()
	s.spiller.close()
	err = errors.Join(err, s.Sync())
	if err == nil {
		err = s.failure()
	}
	clean := err == nil
	s.wal.close()
	return errors.Join(err, s.releaseRun(clean))
}

func (s *Store) releaseRun(clean bool) error {
	err := s.closeDB()
	if clean && err == nil && s.failed.Load() == nil {
		if cerr := s.saveCounts(); cerr != nil {
			s.log.Warn("the counters are not kept: the next start counts the rows", "error", cerr)
		}
		s.run.clean = true
		err = writeRun(s.fs, s.opt.Dir, s.run)
	}
	return errors.Join(err, s.release())
}

func (s *Store) closeDB() error {
	if s.db == nil {
		return nil
	}
	err := s.db.Close()
	s.db, s.closed = nil, true
	return err
}

func (s *Store) release() error {
	s.wal.close()
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
