package resp

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shoal/wire"
)

func setRequest(key string, size int) string {
	return fmt.Sprintf("*3\r\n$3\r\nset\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(key), key, size, strings.Repeat("v", size))
}

// One client holds most of the memory while the backend works for it. Another that needs as much waits, and is served
// when the first is done, or refused when that takes too long. Who needs little notices nothing.
func TestClientsShareABudget(t *testing.T) {
	for _, c := range []struct {
		name string
		busy time.Duration
		want string
		took time.Duration
	}{
		{"there in time", 5 * time.Second, "+OK", 5 * time.Second},
		{"too late", time.Minute, "-ERR Protocol error: maxmemory-clients reached", 10 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, set := newNoteBackend(), NewSettings()
				set.ClientMemory.Store(600 << 10)
				b.onExec = func(ops []wire.Op) {
					if string(ops[0].Key) == "first" {
						time.Sleep(c.busy) // virtual
					}
				}
				ln := newPipeListener()
				s := startServer(t, Options{Backend: b, Settings: set, IsLoopback: func(net.Addr) bool { return true }}, ln)
				first, _ := ln.connect(t)
				second, _ := ln.connect(t)
				small, _ := ln.connect(t)
				go io.Copy(io.Discard, first)
				io.WriteString(first, setRequest("first", 400<<10))
				synctest.Wait()
				begin := time.Now()
				io.WriteString(small, "set a 1\nget a\n")
				in := bufio.NewReader(small)
				for _, want := range []string{"+OK", "$1", "1"} {
					if line, err := in.ReadString('\n'); strings.TrimSpace(line) != want {
						t.Errorf("small: %q, %v", line, err)
					}
				}
				if took := time.Since(begin); took > 0 {
					t.Errorf("small was held up for %v", took)
				}
				go io.WriteString(second, setRequest("second", 400<<10))
				line, err := bufio.NewReader(second).ReadString('\n')
				if strings.TrimSpace(line) != c.want || time.Since(begin) != c.took {
					t.Errorf("second: %q, %v after %v; want %q after %v", line, err, time.Since(begin), c.want, c.took)
				}
				first.Close()
				second.Close()
				small.Close()
				for s.ConnCount() > 0 {
					time.Sleep(time.Second) // virtual
				}
				if used := s.budget.used.Load(); used != 0 {
					t.Errorf("%d bytes counted when everybody has gone", used)
				}
			})
		})
	}
}
