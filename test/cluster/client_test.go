package cluster

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

var background = context.Background()

func init() { redis.SetLogger(silence{}) } // tests look at errors; refused dials are expected

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// dialer connects from a host of the network.
func (w *world) dialer(from string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, addr string) (net.Conn, error) { return w.net.Host(from).Dial(ctx, addr) }
}

// client talks with this machine's node only, and retries nothing.
func (m *machine) client(changes ...func(*redis.Options)) *redis.Client {
	o := &redis.Options{
		Addr: clientAddr(m.name), Dialer: m.w.dialer(inside), MaxRetries: -1,
		DialTimeout: 2 * time.Second, ReadTimeout: 10 * time.Second, DialerRetries: 1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	for _, f := range changes {
		f(o)
	}
	c := redis.NewClient(o)
	m.w.calls = append(m.w.calls, func() { _ = c.Close() })
	return c
}

// clusterClient knows the given machines at first and learns the rest.
func (w *world) clusterClient(seeds ...*machine) *redis.ClusterClient {
	o := &redis.ClusterOptions{
		Dialer: w.dialer(inside), DialTimeout: 2 * time.Second, ReadTimeout: 3 * time.Second, DialerRetries: 1,
		ClusterStateReloadInterval: time.Second, // it hears of a dead node no sooner; the default is a minute
		MaintNotificationsConfig:   &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	for _, m := range seeds {
		o.Addrs = append(o.Addrs, clientAddr(m.name))
	}
	c := redis.NewClusterClient(o)
	w.calls = append(w.calls, func() { _ = c.Close() })
	// Its first command asks for COMMAND and holds a mutex meanwhile. Another goroutine that waited for that mutex
	// would stop virtual time, and with it the answer.
	do(w.t, c, "GET", "first")
	return c
}

func clients(machines ...*machine) []*redis.Client {
	out := make([]*redis.Client, len(machines))
	for i, m := range machines {
		out[i] = m.client()
	}
	return out
}

// do runs a command that must succeed.
func do(t *testing.T, c redis.Cmdable, args ...any) any {
	t.Helper()
	v, err := c.(interface {
		Do(context.Context, ...any) *redis.Cmd
	}).Do(background, args...).Result()
	if err != nil && err != redis.Nil {
		t.Fatalf("%v: %v", args, err)
	}
	return v
}

// want runs a command that must answer this.
func want(t *testing.T, c redis.Cmdable, answer any, args ...any) {
	t.Helper()
	if got := do(t, c, args...); fmt.Sprint(got) != fmt.Sprint(answer) {
		t.Fatalf("%v answers %v, want %v", args, got, answer)
	}
}

// wantError runs a command that must fail with an error that begins so.
func wantError(t *testing.T, c *redis.Client, prefix string, args ...any) {
	t.Helper()
	v, err := c.Do(background, args...).Result()
	if err == nil || !strings.HasPrefix(err.Error(), prefix) {
		t.Fatalf("%v answers %v and error %v, want %s", args, v, err, prefix)
	}
}

// versions is VGET: the context and the values.
func versions(t *testing.T, c *redis.Client, key string) (context string, values []string) {
	t.Helper()
	answer := do(t, c, "VGET", key).([]any)
	for _, v := range answer[1].([]any) {
		values = append(values, v.([]any)[0].(string))
	}
	return answer[0].(string), values
}

// infoField is the value of a line of INFO.
func infoField(t *testing.T, c *redis.Client, section, name string) string {
	t.Helper()
	for line := range strings.Lines(do(t, c, "INFO", section).(string)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), name+":"); ok {
			return v
		}
	}
	t.Fatalf("INFO %s has no %s", section, name)
	return ""
}

// logs keeps what nodes log, with virtual seconds since the start, to be shown when a test fails.
type logs struct {
	began time.Time
	mu    sync.Mutex
	lines []string
}

const maxLogLines = 400

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return "what the nodes logged:\n" + strings.Join(l.lines, "")
}

func (l *logs) of(node string) *slog.Logger {
	return slog.New(slog.NewTextHandler(&logWriter{l, node}, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "node" {
				return slog.Attr{}
			}
			return a
		},
	}))
}

type logWriter struct {
	l    *logs
	node string
}

func (w *logWriter) Write(b []byte) (int, error) {
	w.l.mu.Lock()
	defer w.l.mu.Unlock()
	if len(w.l.lines) < maxLogLines {
		w.l.lines = append(w.l.lines, fmt.Sprintf("%9.3f %s %s\n", time.Since(w.l.began).Seconds(), w.node, bytes.TrimSpace(b)))
	}
	return len(b), nil
}
