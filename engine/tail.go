package engine

import (
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"
)

// cutTail ends the last log of dir after its last whole record.
//
// Pebble writes into each chunk how far it believes the log to be synced, and at Open takes a bad chunk below that
// mark for corruption. With deferred fsyncs the mark is ahead of the truth, so after a power cut Pebble would refuse
// an honest torn tail. Cutting it first keeps what can be kept: the ticks before the first bad chunk.
// Call it only after an unclean stop of a run that deferred its fsyncs.
func cutTail(fs vfs.FS, dir string) (cut int64, err error) {
	name, num, err := lastLog(fs, dir)
	if err != nil || name == "" {
		return 0, err
	}
	f, err := fs.Open(name)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	good, clean, err := readable(f, num)
	if err != nil || clean {
		return 0, err
	}
	if err := rewrite(fs, dir, name, f, good); err != nil {
		return 0, fmt.Errorf("engine: cut the torn tail of %s: %w", name, err)
	}
	return info.Size() - good, nil
}

func lastLog(fs vfs.FS, dir string) (name string, num wal.NumWAL, err error) {
	files, err := fs.List(dir)
	if err != nil {
		return "", 0, err
	}
	for _, file := range files {
		if n, _, ok := wal.ParseLogFilename(file); ok && (name == "" || n > num) {
			name, num = fs.PathJoin(dir, file), n
		}
	}
	return name, num, nil
}

// readable returns the length of the log's prefix of whole records, and whether the log ends well after it.
func readable(f io.Reader, num wal.NumWAL) (good int64, clean bool, err error) {
	r := newReader(record.NewReader, f, uint64(num))
	for {
		rec, err := r.Next()
		if err == nil {
			_, err = io.Copy(io.Discard, rec)
		}
		switch {
		case err == nil:
			good = r.Offset()
		case errors.Is(err, io.EOF):
			return good, true, nil
		case errors.Is(err, record.ErrUnexpectedEOF), errors.Is(err, record.ErrInvalidChunk), errors.Is(err, record.ErrZeroedChunk):
			return good, false, nil
		default:
			return 0, false, err
		}
	}
}

// newReader exists because the type of a file number cannot be named outside Pebble; it can be inferred.
func newReader[N ~uint64](mk func(io.Reader, N) *record.Reader, r io.Reader, num uint64) *record.Reader {
	return mk(r, N(num))
}

func rewrite(fs vfs.FS, dir, name string, from io.ReaderAt, size int64) error {
	tmp := name + ".cut"
	to, err := fs.Create(tmp, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, io.NewSectionReader(from, 0, size))
	if err == nil {
		err = to.Sync()
	}
	if cerr := to.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = fs.Rename(tmp, name)
	}
	if err == nil {
		err = syncDir(fs, dir)
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
