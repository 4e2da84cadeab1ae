package engine

import "github.com/cockroachdb/pebble/v2/vfs"

// hookFS calls hook before each operation that changes what a crash leaves.
type hookFS struct {
	vfs.FS
	hook func()
}

// Unwrap shows checkFS.Link that a memory file system lies below: there a Link beside a CrashClone blocks for ever.
func (fs *hookFS) Unwrap() vfs.FS { return fs.FS }

func (fs *hookFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, c)
	return hookFile{f, fs.hook}, err
}

func (fs *hookFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.ReuseForWrite(from, to, c)
	return hookFile{f, fs.hook}, err
}

func (fs *hookFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	f, err := fs.FS.OpenReadWrite(name, c, o...)
	return hookFile{f, fs.hook}, err
}

func (fs *hookFS) OpenDir(name string) (vfs.File, error) {
	f, err := fs.FS.OpenDir(name)
	return hookFile{f, fs.hook}, err
}

func (fs *hookFS) Rename(from, to string) error { fs.hook(); return fs.FS.Rename(from, to) }
func (fs *hookFS) Remove(name string) error     { fs.hook(); return fs.FS.Remove(name) }
func (fs *hookFS) Link(from, to string) error   { fs.hook(); return fs.FS.Link(from, to) }

type hookFile struct {
	vfs.File
	hook func()
}

func (f hookFile) Sync() error     { f.hook(); return f.File.Sync() }
func (f hookFile) SyncData() error { f.hook(); return f.File.SyncData() }
func (f hookFile) Close() error    { f.hook(); return f.File.Close() }
func (f hookFile) Write(b []byte) (int, error) {
	f.hook()
	return f.File.Write(b)
}

func (f hookFile) WriteAt(b []byte, at int64) (int, error) {
	f.hook()
	return f.File.WriteAt(b, at)
}
