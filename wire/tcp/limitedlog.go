package tcp

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// logEvery is how often one kind of line is written.
const logEvery = 10 * time.Second

// limitedLog writes one line of a kind per logEvery and counts the others, since anybody who can connect can cause them.
// Kinds are made of constants of this package, names of its errors and members of the ring map, hence few.
type limitedLog struct {
	log *slog.Logger

	mu   sync.Mutex
	seen map[string]*logged
}

type logged struct {
	last    time.Time
	skipped int
}

func newLimitedLog(l *slog.Logger) *limitedLog {
	return &limitedLog{log: l, seen: make(map[string]*logged)}
}

func (l *limitedLog) info(kind, msg string, args ...any) { l.write(slog.LevelInfo, kind, msg, args) }
func (l *limitedLog) warn(kind, msg string, args ...any) { l.write(slog.LevelWarn, kind, msg, args) }

func (l *limitedLog) write(level slog.Level, kind, msg string, args []any) {
	skipped, ok := l.due(kind)
	if !ok {
		return
	}
	if skipped > 0 {
		args = append(args, "similar_before", skipped)
	}
	l.log.Log(context.Background(), level, msg, args...)
}

// due reports whether a line of the kind may be written now, and how many were not since the last one.
func (l *limitedLog) due(kind string) (skipped int, ok bool) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.seen[kind]
	if s == nil {
		s = &logged{}
		l.seen[kind] = s
	} else if now.Sub(s.last) < logEvery {
		s.skipped++
		return 0, false
	}
	skipped = s.skipped
	s.last, s.skipped = now, 0
	return skipped, true
}

// kindOf names an error by the one of this package's that it wraps.
func kindOf(err error) string {
	for _, known := range []error{
		ErrVersion, ErrCluster, ErrSecret, ErrUnknownPeer, ErrIdentity, ErrDirection, ErrStale, ErrBusy, ErrNotLoopback,
		ErrProtocol, ErrFrameSize, ErrSilent,
	} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "other"
}
