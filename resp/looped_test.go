package resp

import (
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"shoal/wire"
	"shoal/wire/loop"
)

// TestMain runs every test twice: with a goroutine for each connection, and then with a loop that serves those that
// are sockets.
func TestMain(m *testing.M) { goleak.VerifyTestMain(twice{m}) }

var looping bool

type twice struct{ m *testing.M }

func (t twice) Run() int {
	if code := t.m.Run(); code != 0 {
		return code
	}
	looping = true
	return t.m.Run()
}

// inLoop has the server's sockets served by a loop until the test ends, in the second run.
func inLoop(t testing.TB, opts *Options) {
	if !looping {
		return
	}
	b := &loopedBackend{Backend: opts.Backend}
	b.loop = loop.New(b.endRound)
	t.Cleanup(b.loop.Close)
	opts.Loop, opts.Backend = b.loop, b
}

// loopedBackend executes each vector in a goroutine of its own, as if all of them waited for peers.
type loopedBackend struct {
	Backend
	loop *loop.Loop
	mu   struct {
		sync.Mutex
		ended []*loop.Conn
	}
}

func (b *loopedBackend) Start(ops []wire.Op, out []wire.Result, task *loop.Conn) (later bool) {
	go func() {
		b.Exec(ops, out)
		b.mu.Lock()
		b.mu.ended = append(b.mu.ended, task)
		b.mu.Unlock()
		b.loop.Kick()
	}()
	return true
}

func (b *loopedBackend) endRound() time.Duration {
	b.mu.Lock()
	ended := b.mu.ended
	b.mu.ended = nil
	b.mu.Unlock()
	for _, task := range ended {
		task.Resume()
	}
	return -1
}
