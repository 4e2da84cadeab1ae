package engine

import (
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// walFS defers the fsyncs of Pebble's log files. Pebble's NoSync is not what EverySec means: it keeps the last
// partial block in the process, where kill -9 loses it. So every tick is committed with Sync, which makes Pebble write
// its buffer out, and the fsync that follows is put off here until syncNow.
//
// Why nothing newer becomes durable before something older:
//
//   - Within one log file, recovery reads from the front and stops at the first chunk that does not check. What lies
//     behind a lost block is cut (see tail.go), so a power cut costs a suffix.
//   - Between log files: Pebble closes a log before it makes the next one, and closing performs the deferred fsync
//     first. So only the last log can have a tail that is not durable, and only one file is dirty at a time.
//   - Tables and manifest: a memtable is written to a table only after its log was closed, that is fsynced. Syncs of
//     tables, manifest, markers and directories are never deferred. So no table holds what a durable log lacks, and no
//     log is deleted before the table that replaces it is durable.
//
// A failed fsync is never repeated: the kernel may have dropped the dirty pages and report success the second time.
// The store is marked failed, OnFatal is called, and the process must stop.
type walFS struct {
	vfs.FS
	defers bool // false: Always, every sync is real
	fail   func(error)
	syncs  atomic.Int64 // deferred fsyncs performed

	mu   sync.Mutex
	open map[*walFile]struct{} // open log files: one, two for a moment while Pebble changes over
}

func newWALFS(fs vfs.FS, defers bool, fail func(error)) *walFS {
	return &walFS{FS: fs, defers: defers, fail: fail, open: map[*walFile]struct{}{}}
}

// syncNow performs the deferred fsyncs. Safe beside everything else.
func (fs *walFS) syncNow() error {
	fs.mu.Lock()
	files := make([]*walFile, 0, len(fs.open))
	for f := range fs.open {
		files = append(files, f)
	}
	fs.mu.Unlock()
	for _, f := range files {
		if err := f.syncNow(); err != nil {
			return err
		}
	}
	return nil
}

func (fs *walFS) wrap(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	if !fs.defers || filepath.Ext(name) != ".log" {
		return &checkedFile{File: f, name: name, fail: fs.fail}, nil
	}
	w := &walFile{File: f, fs: fs, name: name}
	fs.mu.Lock()
	fs.open[w] = struct{}{}
	fs.mu.Unlock()
	return w, nil
}

// Create implements vfs.FS.
func (fs *walFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, category)
	return fs.wrap(name, f, err)
}

// ReuseForWrite implements vfs.FS.
func (fs *walFS) ReuseForWrite(from, to string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.ReuseForWrite(from, to, category)
	return fs.wrap(to, f, err)
}

// OpenReadWrite implements vfs.FS.
func (fs *walFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := fs.FS.OpenReadWrite(name, category, opts...)
	return fs.wrap(name, f, err)
}

// OpenDir implements vfs.FS.
func (fs *walFS) OpenDir(name string) (vfs.File, error) {
	f, err := fs.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &checkedFile{File: f, name: name, fail: fs.fail}, nil
}

// Unwrap implements vfs.FS.
func (fs *walFS) Unwrap() vfs.FS { return fs.FS }

// walFile is a log file whose fsync waits for syncNow or Close.
type walFile struct {
	vfs.File
	fs    *walFS
	name  string
	dirty atomic.Bool

	// mu keeps the descriptor open while it is fsynced. Writing does not take it, so a slow disk does not stop ticks.
	mu     sync.Mutex
	closed bool
}

// Write hands the bytes to the operating system.
func (f *walFile) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	f.dirty.Store(true) // after the write: syncNow in between then leaves it marked
	return n, err
}

// Sync defers.
func (f *walFile) Sync() error { return nil }

// SyncData defers.
func (f *walFile) SyncData() error { return nil }

// SyncTo defers; it promises nothing in any case.
func (f *walFile) SyncTo(int64) (bool, error) { return false, nil }

func (f *walFile) syncNow() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.syncLocked()
}

func (f *walFile) syncLocked() error {
	if f.closed || !f.dirty.Swap(false) {
		return nil
	}
	f.fs.syncs.Add(1)
	if err := f.File.SyncData(); err != nil {
		err = fmt.Errorf("engine: fsync of %s failed: %w", f.name, err)
		f.fs.fail(err)
		return err
	}
	return nil
}

// Close fsyncs what was deferred, then closes.
func (f *walFile) Close() error {
	f.mu.Lock()
	err := f.syncLocked()
	f.closed = true
	cerr := f.File.Close()
	f.mu.Unlock()
	f.fs.mu.Lock()
	delete(f.fs.open, f)
	f.fs.mu.Unlock()
	if err == nil {
		err = cerr
	}
	return err
}

// checkedFile reports a failed fsync before Pebble sees it: Pebble retries some of them.
type checkedFile struct {
	vfs.File
	name string
	fail func(error)
}

// Sync implements vfs.File.
func (f *checkedFile) Sync() error { return f.check(f.File.Sync()) }

// SyncData implements vfs.File.
func (f *checkedFile) SyncData() error { return f.check(f.File.SyncData()) }

// SyncTo implements vfs.File.
func (f *checkedFile) SyncTo(n int64) (bool, error) {
	full, err := f.File.SyncTo(n)
	return full, f.check(err)
}

func (f *checkedFile) check(err error) error {
	if err != nil {
		err = fmt.Errorf("engine: fsync of %s failed: %w", f.name, err)
		f.fail(err)
	}
	return err
}
