package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// checkFS reports a failed fsync before anybody sees it: Pebble retries some of them, and a failed fsync must never be
// repeated, because the kernel may have dropped the dirty pages and report success the second time.
type checkFS struct {
	vfs.FS
	fail func(error)
}

// Create implements vfs.FS.
func (fs *checkFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, category)
	return fs.wrap(name, f, err)
}

// ReuseForWrite implements vfs.FS.
func (fs *checkFS) ReuseForWrite(from, to string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.ReuseForWrite(from, to, category)
	return fs.wrap(to, f, err)
}

// OpenReadWrite implements vfs.FS.
func (fs *checkFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := fs.FS.OpenReadWrite(name, category, opts...)
	return fs.wrap(name, f, err)
}

// OpenDir implements vfs.FS.
func (fs *checkFS) OpenDir(name string) (vfs.File, error) {
	f, err := fs.FS.OpenDir(name)
	return fs.wrap(name, f, err)
}

// Unwrap implements vfs.FS.
func (fs *checkFS) Unwrap() vfs.FS { return fs.FS }

func (fs *checkFS) wrap(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &checkedFile{File: f, name: name, fail: fs.fail}, nil
}

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

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}

// replaceFile puts a file with these bytes in the place of one, if there is one, all or nothing, and fsyncs it.
func replaceFile(fs vfs.FS, dir, name string, b []byte) error {
	path := fs.PathJoin(dir, name)
	f, err := fs.Create(path+".new", vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, bytes.NewReader(b))
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = fs.Rename(path+".new", path)
	}
	if err == nil {
		err = syncDir(fs, dir)
	}
	return err
}

var errNoLinks = errors.New("no links here")

// Link implements vfs.FS. Pebble copies where there are no links. Its own memory file system, which only tests use,
// has them, but can block for ever in Link beside a CrashClone.
func (fs *checkFS) Link(from, to string) error {
	if _, memory := vfs.Root(fs.FS).(*vfs.MemFS); memory {
		return errNoLinks
	}
	return fs.FS.Link(from, to)
}
