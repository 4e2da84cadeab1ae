package engine

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// spiller writes rounds to Pebble, as sorted tables that Pebble takes in whole, in a goroutine of its own. Everything
// may be done twice: a round that failed is tried again until it succeeds.
type spiller struct {
	fs  vfs.FS
	dir string // for tables being made
	db  *pebble.DB
	wal *seglog

	tableOptions sstable.WriterOptions

	in      chan *round
	done    chan struct{}
	upset   chan struct{} // trouble began
	stop    chan struct{}
	stopped chan struct{}
	failed  atomic.Pointer[error]
	hurry   atomic.Bool // the log fills up: no pauses

	tables int
	slice  time.Time
}

const tableBytes = 8 << 20

func (s *Store) newSpiller() *spiller {
	return &spiller{
		fs: s.fs, dir: s.fs.PathJoin(s.opt.Dir, "spill"), db: s.db, wal: s.wal,
		tableOptions: s.dbOptions.MakeWriterOptions(0, s.db.TableFormat()),

		in: make(chan *round, 1), done: make(chan struct{}, 1), upset: make(chan struct{}, 1),
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
}

func (w *spiller) trouble() error {
	if err := w.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// run is the goroutine.
func (w *spiller) run() {
	defer close(w.stopped)
	for {
		select {
		case r := <-w.in:
			if !w.persist(r) {
				return
			}
			w.done <- struct{}{}
		case <-w.stop:
			return
		}
	}
}

func (w *spiller) close() {
	close(w.stop)
	<-w.stopped
}

// persist tries until the round is in Pebble. false: the store is being closed.
func (w *spiller) persist(r *round) bool {
	for {
		err := w.spill(r)
		if err == nil {
			w.failed.Store(nil)
			return true
		}
		w.failed.Store(&err)
		select {
		case w.upset <- struct{}{}:
		default:
		}
		select {
		case <-time.After(retryEvery):
		case <-w.stop:
			return false
		}
	}
}

var errStopping = errors.New("engine: the store is being closed")

// spill puts the round into Pebble. When it returns nil everything is on the disk, or the round asks.
func (w *spiller) spill(r *round) error {
	w.slice = time.Now()
	// What left a row out of the round, a later write of it, must not be lost after this step.
	if err := w.wal.sync(); err != nil {
		return err
	}
	if err := w.spillTold(r); err != nil {
		return err
	}
	for i := range r.segments {
		seg := &r.segments[i]
		if err := w.spillDots(r, seg); err != nil {
			return err
		}
		r.asks = r.asks || seg.damaged && !seg.told
	}
	if r.asks {
		return nil
	}
	slices.SortFunc(r.rows, func(a, b record) int { return bytes.Compare(a.name(), b.name()) })
	slices.SortFunc(r.states, func(a, b pair) int { return bytes.Compare(a.name, b.name) })
	t := tables{w: w}
	for _, st := range r.states {
		t.set(st.name, st.value)
	}
	for _, x := range r.erase {
		t.erase(x.from, x.to)
	}
	var last []byte
	for i, rec := range r.rows {
		if name := rec.name(); !bytes.Equal(name, last) { // two rows of one hash are gathered twice
			t.set(name, rec.value())
			last = name
		}
		if i%64 == 63 {
			w.pause()
		}
	}
	slices.SortFunc(r.hints, func(a, b spilledHint) int { return bytes.Compare(a.hint.name, b.hint.name) })
	for _, x := range r.hints {
		t.set(x.hint.name, x.value)
	}
	return t.ingest()
}

// spillTold keeps the dots that the single caller told. Those of them that can be read after all follow.
func (w *spiller) spillTold(r *round) error {
	slices.SortFunc(r.told, func(a, b pair) int { return bytes.Compare(a.name, b.name) })
	t := tables{w: w}
	for i, d := range r.told {
		if i == 0 || !bytes.Equal(d.name, r.told[i-1].name) {
			t.set(d.name, d.value)
		}
	}
	return t.ingest()
}

// spillDots keeps the dots of a segment that is about to be recycled, those above the horizons, and notes where it is
// damaged.
func (w *spiller) spillDots(r *round, seg *fullSegment) error {
	f, err := w.fs.Open(w.wal.path(seg.num))
	if err != nil {
		return err
	}
	b, err := readSegment(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	var dots []pair
	var e entry
	for at := 0; int64(at) < seg.end; {
		rec, ok := recordAt(b, at, seg.num)
		if !ok {
			if !seg.damaged || int64(at) < seg.from {
				seg.damaged, seg.from, seg.told = true, int64(at), false
			}
			break
		}
		at = rec.end()
		for body := rec.body; len(body) > 0; {
			if body, err = e.decode(body, true); err != nil {
				return err
			}
			for _, d := range e.dots {
				if !r.horizons[e.p].Covers(d) && rec.seq >= r.droppedAt[e.p] {
					name := appendDot(nil, e.p, d)
					dots = append(dots, pair{name, appendDotRow(nil, name, &e)})
				}
			}
		}
		w.pause()
	}
	slices.SortFunc(dots, func(a, b pair) int { return bytes.Compare(a.name, b.name) })
	t := tables{w: w}
	for i, d := range dots {
		if i+1 < len(dots) && bytes.Equal(d.name, dots[i+1].name) { // logged again
			continue
		}
		t.set(d.name, d.value)
		r.dots, r.dotBytes = r.dots+1, r.dotBytes+int64(len(d.name)+len(d.value))
		if i%64 == 63 {
			w.pause()
		}
	}
	return t.ingest()
}

// pause lets others have the processor: it yields, and unless there is hurry it rests as long as it worked.
func (w *spiller) pause() {
	runtime.Gosched()
	worked := time.Since(w.slice)
	if worked < 2*time.Millisecond {
		return
	}
	if !w.hurry.Load() {
		select {
		case <-time.After(min(worked, 20*time.Millisecond)):
		case <-w.stop:
		}
	}
	w.slice = time.Now()
}

// tables builds sorted tables from keys in order. The first error is kept for ingest.
type tables struct {
	w     *spiller
	paths []string
	open  *sstable.Writer
	size  int
	err   error
}

// set adds a key. An empty value deletes it.
func (t *tables) set(name, value []byte) {
	if t.err == nil && t.open == nil {
		t.begin()
	}
	if t.err != nil {
		return
	}
	if len(value) == 0 {
		t.err = t.open.Delete(name)
	} else {
		t.err = t.open.Set(name, value)
	}
	if t.size += len(name) + len(value); t.size >= tableBytes {
		t.end()
	}
}

// erase deletes a range of keys: what was there before, and nothing that the same tables bring.
func (t *tables) erase(from, to []byte) {
	if t.err == nil && t.open == nil {
		t.begin()
	}
	if t.err == nil {
		t.err = t.open.DeleteRange(from, to)
	}
}

func (t *tables) begin() {
	w := t.w
	select {
	case <-w.stop:
		t.err = errStopping
		return
	default:
	}
	if t.err = w.wal.roomFor(tableBytes); t.err != nil {
		return
	}
	w.tables++
	path := w.fs.PathJoin(w.dir, fmt.Sprintf("%010d.sst", w.tables))
	f, err := w.fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.err = err
		return
	}
	t.paths = append(t.paths, path)
	t.open = sstable.NewWriter(objstorageprovider.NewFileWritable(f), w.tableOptions)
}

func (t *tables) end() {
	if t.open == nil {
		return
	}
	err := t.open.Close()
	t.err = cmp.Or(t.err, err)
	t.open, t.size = nil, 0
}

// ingest makes all tables part of Pebble in one step, durably. After an error nothing is.
func (t *tables) ingest() error {
	t.end()
	if t.err == nil && len(t.paths) > 0 {
		t.err = t.w.db.Ingest(context.Background(), t.paths)
	}
	if t.err != nil {
		for _, p := range t.paths {
			_ = t.w.fs.Remove(p) // what stays is removed at the next Open
		}
	}
	return t.err
}

// emptyDir removes the files of a folder: tables that no round finished.
func emptyDir(disk vfs.FS, dir string) error {
	names, err := disk.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := disk.Remove(disk.PathJoin(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
