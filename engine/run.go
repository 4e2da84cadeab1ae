package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"

	"shoal/causal"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// run is what one run of the store leaves for the next, in a file of its own because it must be known before the
// sorted store can be opened.
type run struct {
	incarnation causal.Actor
	clean       bool   // stopped by Close
	deferred    bool   // some of its writes may not have been fsynced
	tailLost    bool   // a tail may be lost and the caller has not said that it is restored
	boot        string // Options.MachineBoot
}

const (
	runFile   = "run"
	runFormat = 1
	runMax    = 512 // bytes; longer boot ids are cut
)

const (
	runClean = 1 << iota
	runDeferred
	runTailLost
)

// next is the run that follows: what it knows about the tail it begins with.
func (r run) next(boot string, deferred bool) run {
	sameBoot := boot != "" && boot == r.boot
	lost := r.tailLost || !r.clean && r.deferred && !sameBoot
	return run{
		tailLost: lost,
		boot:     boot,
		// Until what the last run left unsynced is in a synced table, this run inherits the risk.
		deferred: deferred || !r.clean && r.deferred,
	}
}

func (r run) append(b []byte) []byte {
	var flags byte
	for i, set := range []bool{r.clean, r.deferred, r.tailLost} {
		if set {
			flags |= 1 << i
		}
	}
	b = append(b, runFormat, flags)
	b = binary.BigEndian.AppendUint64(b, uint64(r.incarnation))
	b = append(b, r.boot[:min(len(r.boot), runMax-16)]...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decodeRun(b []byte) (run, error) {
	if len(b) < 14 || crc32.Checksum(b[:len(b)-4], castagnoli) != binary.BigEndian.Uint32(b[len(b)-4:]) {
		return run{}, fmt.Errorf("engine: file %q is %w", runFile, ErrUnreadable)
	}
	if b[0] != runFormat {
		return run{}, fmt.Errorf("engine: file %q has format %d, this program knows %d", runFile, b[0], runFormat)
	}
	return run{
		clean:       b[1]&runClean != 0,
		deferred:    b[1]&runDeferred != 0,
		tailLost:    b[1]&runTailLost != 0,
		incarnation: causal.Actor(binary.BigEndian.Uint64(b[2:])),
		boot:        string(b[10 : len(b)-4]),
	}, nil
}

// readRun returns the last run. found is false when the file is missing. An unreadable file answers the worst case.
func readRun(fsys vfs.FS, dir string) (r run, found bool, err error) {
	f, err := fsys.Open(fsys.PathJoin(dir, runFile))
	if errors.Is(err, fs.ErrNotExist) {
		return run{}, false, nil
	}
	if err != nil {
		return run{}, false, err
	}
	b, err := io.ReadAll(io.LimitReader(f, runMax+1))
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return run{}, false, err
	}
	r, err = decodeRun(b)
	if errors.Is(err, ErrUnreadable) {
		return run{deferred: true, tailLost: true}, true, nil
	}
	return r, true, err
}

// writeRun replaces the file and fsyncs it.
func writeRun(fsys vfs.FS, dir string, r run) error {
	return replaceFile(fsys, dir, runFile, r.append(nil))
}
