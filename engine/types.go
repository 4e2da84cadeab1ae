package engine

import (
	"errors"
	"log/slog"

	"shoal/causal"
	"shoal/ring"
	"shoal/wire"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Durability says when acknowledged bytes reach the disk. In every mode they are with the operating system when
// EndTick returns, so a killed process loses nothing; a power cut may lose what was not fsynced.
type Durability uint8

// The durabilities, with the meaning of Redis's appendfsync.
const (
	EverySec Durability = iota // fsync when Sync is called, by the node each second
	Always                     // fsync before EndTick returns
	No                         // as EverySec, but nobody calls Sync on a timer
	One                        // fsync before EndTick returns when the tick holds a dot issued here, else as EverySec
)

// ErrUnreadable is wrapped by every answer about bytes that are there but fail their checksum or do not decode.
var ErrUnreadable = errors.New("unreadable")

// ErrFull is wrapped by errors that mean that there is no room for more writes. Nothing is lost, and it may pass.
var ErrFull = errors.New("the disk or the log is full")

// Options configure Open. Dir is required; the rest has defaults.
type Options struct {
	Dir          string        // one store per directory
	FS           vfs.FS        // nil: the operating system's
	Durability   Durability    // zero value: EverySec
	Now          func() int64  // unix ms; nil: time.Now
	Random       func() uint32 // nil: crypto/rand
	Restored     bool          // the folder is a copy put back: it may lack what was acknowledged since
	MachineBoot  string        // changes with every boot of the machine, as the kernel's boot id; "": unknown
	MemoryBytes  int64         // memory for rows, bytes; 0: 256 MiB
	LogBytes     int64         // the log's limit, bytes; 0: half of MemoryBytes, at least 8, at most 256 MiB
	CacheBytes   int64         // memory for blocks of rows that left memory, bytes; 0: 32 MiB
	ReserveBytes int64         // left free on the disk, bytes; 0: 64 MiB
	LogKeepBytes int64         // for log entries that left the log's segments, bytes; 0: a tenth of the disk, at least 64 MiB
	Log          *slog.Logger  // nil: discarded

	scanAtMost int64 // 0: the constant; below 0: none

	OnFatal func(error) // a failed fsync or log write: the process must stop; nil: log, then panic
}

// Ref names a row.
type Ref = wire.Ref

// Row is a row as it counts (causal.Replica.View). Err wraps ErrUnreadable when its bytes failed their check; the
// container is then zero. Its memory is immutable; that of the containers of Get is taken back by Recycle.
type Row struct {
	Slot      ring.Slot
	Key       []byte
	Container causal.Container
	Err       error
}

// LogEntry says that a replica processed a dot: of the row Slot, Key, or, when Dropped is not nil, of a flush.
type LogEntry struct {
	Dot     causal.Dot
	Slot    ring.Slot
	Key     []byte
	Dropped *causal.Clock
}

// Stats are counters of the whole store.
type Stats struct {
	Rows         int64 // rows kept, also those that hold only tombstones or only a vector
	Tombstones   int64 // rows whose versions are all tombstones
	SiblingsKeys int64 // rows with two or more values, expired ones included until they are replaced
	SiblingsMax  int64 // most values of one row; more than 128 show as 128
	Bytes        int64 // keys and encoded containers
	Unreadable   int64 // rows and blocks found unreadable since Open
	Ticks        int64 // ticks that wrote something since Open
	TickRows     int64 // rows written since Open
	TickDots     int64 // log entries written since Open
	Syncs        int64 // deferred fsyncs performed since Open
	DiskBytes    int64 // files of the store
	LogBytes     int64 // of the log in use
	MemoryBytes  int64 // rows in memory, garbage included
	Spills       int64 // rounds of spilling since Open
	SpilledRows  int64 // rows written to the sorted store since Open
	Evicted      int64 // rows that left memory since Open
	Stalls       int64 // ticks that waited because the log was at its limit
	LogEntries   int64 // dots that the log has entries of, all partitions
	LogTrimmed   int64 // log entries trimmed since Open because they took too much of the disk
	Reaped       int64 // rows reaped since Open
	Hints        int64 // hints kept, all partitions
	HintBytes    int64 // of their names and values
}
