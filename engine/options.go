package engine

import (
	crand "crypto/rand"
	"encoding/binary"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

func (o *Options) defaults() {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Now == nil {
		o.Now = func() int64 { return time.Now().UnixMilli() }
	}
	if o.Random == nil {
		o.Random = func() uint32 {
			var b [4]byte
			_, _ = crand.Read(b[:]) // never fails
			return binary.LittleEndian.Uint32(b[:])
		}
	}
	if o.MemoryBytes <= 0 {
		o.MemoryBytes = 256 << 20
	}
	if o.LogBytes <= 0 {
		o.LogBytes = min(256<<20, max(o.MemoryBytes/2, 8<<20))
	}
	if o.ReserveBytes <= 0 {
		o.ReserveBytes = 64 << 20
	}
	if o.CacheBytes <= 0 {
		o.CacheBytes = 32 << 20
	}
	if o.scanAtMost == 0 {
		o.scanAtMost = scanAtMost
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.OnFatal == nil {
		log := o.Log
		o.OnFatal = func(err error) {
			log.Error("the disk failed; the process stops, because what it holds may not be what is stored", "error", err)
			panic(err)
		}
	}
}

const memtableBytes = 1 << 20 // nothing is ever written to it: tables are taken in whole

func (s *Store) pebbleOptions() *pebble.Options {
	o := &pebble.Options{
		FS:   s.fs,
		Lock: s.lock,
		// The newest format writes columnar tables. The older writer keeps channels in a global pool, which a
		// testing/synctest bubble must not share with another.
		FormatMajorVersion:    pebble.FormatNewest,
		MemTableSize:          memtableBytes,
		DisableWAL:            true,
		CacheSize:             s.opt.CacheBytes,
		L0CompactionThreshold: 4,
		L0StopWritesThreshold: 64,
		LBaseMaxBytes:         64 << 20,
		Logger:                pebbleLog{s},
		EventListener: &pebble.EventListener{
			BackgroundError: func(err error) { s.log.Error("background work of the store failed", "error", err) },
			// Left unset, Pebble ends the process. The read that met it answers ErrUnreadable instead.
			DataCorruption: func(info pebble.DataCorruptionInfo) {
				s.stats.unreadable.Add(1)
				if s.corruptSaid.due(time.Now()) {
					s.log.Error("a stored block is corrupt", "path", info.Path, "error", info.Details)
				}
			},
		},
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return o
}

// seldom lets a line that would come with every read of a damaged block be said once a minute.
type seldom struct{ last atomic.Int64 }

func (x *seldom) due(now time.Time) bool {
	last := x.last.Load()
	return now.UnixNano()-last >= int64(time.Minute) && x.last.CompareAndSwap(last, now.UnixNano())
}

// pebbleLog turns Pebble's fatal errors into ours and keeps its chatter for debugging.
type pebbleLog struct{ s *Store }

func (l pebbleLog) Infof(format string, args ...any) {}

func (l pebbleLog) Errorf(format string, args ...any) {
	l.s.log.Error(fmt.Sprintf(format, args...))
}

func (l pebbleLog) Fatalf(format string, args ...any) {
	l.s.fatal(fmt.Errorf("engine: "+format, args...))
}

// corrupt reports whether Pebble met a block that fails its checksum.
func corrupt(err error) bool { return pebble.IsCorruptionError(err) }
