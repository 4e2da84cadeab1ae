package gossip

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Anybody who reaches the port can make memberlist write a line, so only so many are written per period, and the same
// line, for instance that a name cannot be looked up, only once in sameEvery.
const (
	logPeriod = 10 * time.Second
	logLines  = 20
	sameEvery = 5 * time.Minute
	sameMost  = 100
)

// limitedLog is where memberlist's lines go.
type limitedLog struct {
	log    *slog.Logger
	closed atomic.Bool // what is said of a port that is being closed helps nobody

	mu      sync.Mutex
	since   time.Time
	lines   int
	skipped int
	said    map[string]time.Time
}

// Write takes one line of memberlist: "[LEVEL] memberlist: text".
func (l *limitedLog) Write(line []byte) (int, error) {
	level, text := slog.LevelInfo, bytes.TrimSpace(line)
	if rest, ok := bytes.CutPrefix(text, []byte("[")); ok {
		if name, after, ok := bytes.Cut(rest, []byte("] ")); ok {
			level, text = levelOf(string(name)), after
		}
	}
	l.write(level, string(bytes.TrimPrefix(text, []byte("memberlist: "))))
	return len(line), nil
}

// print writes a warning of this package.
func (l *limitedLog) print(text string) { l.write(slog.LevelWarn, text) }

func (l *limitedLog) write(level slog.Level, text string) {
	if l.closed.Load() || !l.log.Enabled(context.Background(), level) {
		return
	}
	now := time.Now()
	l.mu.Lock()
	if last, ok := l.said[text]; ok && now.Sub(last) < sameEvery {
		l.mu.Unlock()
		return
	}
	skipped := l.skipped
	if now.Sub(l.since) >= logPeriod {
		l.since, l.lines, l.skipped = now, 0, 0
	} else {
		skipped = 0
	}
	l.lines++
	over := l.lines > logLines
	if over {
		l.skipped++
	} else {
		if l.said == nil || len(l.said) >= sameMost {
			l.said = map[string]time.Time{}
		}
		l.said[text] = now
	}
	l.mu.Unlock()
	if over {
		return
	}
	var args []any
	if skipped > 0 {
		args = []any{"lines_before", skipped}
	}
	l.log.Log(context.Background(), level, "gossip: "+text, args...)
}

// levelOf lowers memberlist's levels by one: what it calls an error is a failed dial or a damaged packet, and it goes on.
func levelOf(name string) slog.Level {
	switch name {
	case "ERR", "ERROR":
		return slog.LevelWarn
	case "WARN":
		return slog.LevelInfo
	}
	return slog.LevelDebug
}
