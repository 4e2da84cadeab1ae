package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A folder that was put back from a copy lacks what was acknowledged since the copy was made, and nothing in it says so.
// So it holds a file whose text names the file itself: a copy is another file, with another number and another time of
// birth. It is made with the folder, and anew once the node knows.

const originFile = "origin"

// putBack reports whether the folder is a copy of the one that the node ran in, and makes it an original.
func putBack(dir string) (bool, error) {
	path := filepath.Join(dir, originFile)
	text, err := os.ReadFile(path)
	switch {
	case os.IsNotExist(err):
		if _, err := os.Stat(filepath.Join(dir, "meta")); err == nil {
			return false, markOrigin(dir, path) // of a version that made none
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return false, err
		}
		return false, markOrigin(dir, path)
	case err != nil:
		return false, err
	}
	self, err := birth(path)
	if err != nil {
		return false, err
	}
	if strings.TrimSpace(string(text)) == self {
		return false, nil
	}
	return true, nil
}

// markOrigin makes the file anew.
func markOrigin(dir, path string) error {
	f, err := os.CreateTemp(dir, originFile)
	if err != nil {
		return err
	}
	self, err := birth(f.Name())
	if err == nil {
		_, err = fmt.Fprintln(f, self)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// birth names a file as no copy of it is named.
func birth(path string) (string, error) {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_INO|unix.STATX_BTIME, &st); err != nil {
		return "", &os.PathError{Op: "statx", Path: path, Err: err}
	}
	return fmt.Sprintf("%d:%d %d %d.%09d", st.Dev_major, st.Dev_minor, st.Ino, st.Btime.Sec, st.Btime.Nsec), nil
}
