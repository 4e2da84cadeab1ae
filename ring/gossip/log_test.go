package gossip

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// What comes again and again is written once, floods are cut, and after the end nothing is said.
func TestLinesAreFew(t *testing.T) {
	var out strings.Builder
	l := &limitedLog{log: slog.New(slog.NewTextHandler(&out, nil))}
	line := func(text string) {
		if _, err := l.Write([]byte("[WARN] memberlist: " + text)); err != nil {
			t.Fatal(err)
		}
	}
	for range 50 {
		line("cannot look up a name")
	}
	if n := strings.Count(out.String(), "\n"); n != 1 || !strings.Contains(out.String(), "gossip: cannot look up a name") {
		t.Fatalf("%d lines:\n%s", n, out.String())
	}
	for i := range 1000 {
		line(fmt.Sprint("line ", i))
	}
	if n := strings.Count(out.String(), "\n"); n != logLines || len(l.said) > sameMost {
		t.Fatalf("%d lines, %d kept", n, len(l.said))
	}
	out.Reset()
	l = &limitedLog{log: slog.New(slog.NewTextHandler(&out, nil))}
	l.closed.Store(true)
	if line("late"); out.Len() > 0 {
		t.Fatal(out.String())
	}
}
