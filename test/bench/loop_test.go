//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// toy is a server that knows as much of Redis as the load generator asks for. Its answers go out in pieces.
type toy struct {
	mu   sync.Mutex
	rows map[string]string
	sets int
	fail func(args []string) string // an answer to give instead, "" for none
}

// serve listens until the test ends.
func (s *toy) serve(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { s.talk(c) })
		}
	})
	return l.Addr().String()
}

func (s *toy) talk(c net.Conn) {
	defer func() { _ = c.Close() }()
	in, out := bufio.NewReader(c), bufio.NewWriterSize(c, 37) // an odd size, so that replies are cut anywhere
	for {
		args, err := readCommand(in)
		if err != nil {
			return
		}
		_, _ = out.WriteString(s.answer(args))
		if in.Buffered() == 0 && out.Flush() != nil {
			return
		}
	}
}

func readCommand(in *bufio.Reader) ([]string, error) {
	number := func() (int, error) {
		line, err := in.ReadString('\n')
		if err != nil {
			return 0, err
		}
		return strconv.Atoi(strings.TrimSpace(line[1:]))
	}
	n, err := number()
	if err != nil {
		return nil, err
	}
	args := make([]string, n)
	for i := range args {
		size, err := number()
		if err != nil {
			return nil, err
		}
		b := make([]byte, size+2)
		if _, err := io.ReadFull(in, b); err != nil {
			return nil, err
		}
		args[i] = string(b[:size])
	}
	return args, nil
}

func (s *toy) answer(args []string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		if answer := s.fail(args); answer != "" {
			return answer
		}
	}
	bulk := func(key string) string {
		value, ok := s.rows[key]
		if !ok {
			return "$-1\r\n"
		}
		return fmt.Sprintf("$%d\r\n%s\r\n", len(value), value)
	}
	switch args[0] {
	case "READONLY":
	case "SET", "MSET":
		for i := 1; i < len(args); i += 2 {
			s.rows[args[i]] = args[i+1]
		}
		s.sets++
	case "GET":
		return bulk(args[1])
	case "MGET":
		answer := fmt.Sprintf("*%d\r\n", len(args)-1)
		for _, key := range args[1:] {
			answer += bulk(key)
		}
		return answer
	case "WAIT":
		return ":1\r\n"
	default:
		return "-ERR unknown\r\n"
	}
	return "+OK\r\n"
}

// play runs traffic against a toy that holds all keys.
func play(t *testing.T, s *toy, change func(*traffic)) (*tally, error) {
	t.Helper()
	const keys = 500
	v := newValues(128)
	s.rows = map[string]string{}
	for key := range uint32(keys) {
		s.rows[string(appendKey(nil, key))] = string(v.append(nil, key, uint64(key)))
	}
	x := traffic{addrs: []string{s.serve(t)}, clients: 5, pipeline: 1, multi: 1, values: v,
		source: &uniform{newKeyspace(keys, 1, nil), rand.New(rand.NewPCG(1, 1))}, duration: time.Minute, limit: 200}
	change(&x)
	l, err := newLoop(x)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	return l.run(t.Context())
}

func TestLoop(t *testing.T) {
	for name, test := range map[string]struct {
		change             func(*traffic)
		ops, reads, writes int64
	}{
		"GET":       {func(x *traffic) {}, 200, 200, 0},
		"readonly":  {func(x *traffic) { x.readonly = true }, 200, 200, 0},
		"SET":       {func(x *traffic) { x.writes = 100 }, 200, 0, 200},
		"pipeline":  {func(x *traffic) { x.writes, x.pipeline = 100, 16 }, 200, 0, 200},
		"WAIT":      {func(x *traffic) { x.writes, x.pipeline, x.wait = 100, 16, true }, 200, 0, 200},
		"MGET":      {func(x *traffic) { x.multi, x.pipeline = 20, 3 }, 200, 200, 0},
		"MSET":      {func(x *traffic) { x.multi, x.writes = 20, 100 }, 200, 0, 200},
		"big":       {func(x *traffic) { x.pipeline, x.limit = 400, 800 }, 800, 800, 0},
		"open loop": {func(x *traffic) { x.rate, x.duration, x.limit = 10_000, 100*time.Millisecond, 0 }, 1000, 1000, 0},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := play(t, &toy{}, test.change)
			if err != nil {
				t.Fatal(err)
			}
			if int64(got.ops) != test.ops || got.reads.TotalCount() != test.reads || got.writes.TotalCount() != test.writes {
				t.Errorf("%d commands, %d reads, %d writes; want %d, %d, %d",
					got.ops, got.reads.TotalCount(), got.writes.TotalCount(), test.ops, test.reads, test.writes)
			}
		})
	}
}

func TestLoopMix(t *testing.T) {
	s := &toy{}
	got, err := play(t, s, func(x *traffic) { x.writes, x.limit = 10, 1000 })
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if writes := got.writes.TotalCount(); writes != int64(s.sets) || writes < 60 || writes > 140 {
		t.Errorf("%d writes counted, %d made, want a tenth of 1000", writes, s.sets)
	}
}

// TestLoopNotices gives wrong answers: each must fail the run.
func TestLoopNotices(t *testing.T) {
	other := string(newValues(128).append(nil, 499, 1))
	for name, answer := range map[string]string{
		"error":       "-ERR no\r\n",
		"moved":       "-MOVED 1 127.0.0.1:1\r\n",
		"missing":     "$-1\r\n",
		"other key":   "$128\r\n" + other + "\r\n",
		"other kind":  ":1\r\n",
		"no protocol": "what\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			n := 0
			_, err := play(t, &toy{fail: func(args []string) string {
				if n++; n >= 50 && args[1] != "key:000000000499" {
					return answer
				}
				return ""
			}}, func(*traffic) {})
			if err == nil {
				t.Error("not noticed")
			}
		})
	}
}

// TestOpenLoopCountsFromTheIntendedTime lets the server stand still once: everything that was due meanwhile has waited,
// not only what was under way.
func TestOpenLoopCountsFromTheIntendedTime(t *testing.T) {
	const still = 100 * time.Millisecond
	n := 0
	s := &toy{fail: func([]string) string {
		if n++; n == 50 {
			<-time.After(still)
		}
		return ""
	}}
	got, err := play(t, s, func(x *traffic) {
		x.rate, x.duration, x.limit, x.clients = 1000, 300*time.Millisecond, 0, 2
	})
	if err != nil {
		t.Fatal(err)
	}
	// Of 300 requests a hundred were due in the 100 ms: about fifty waited for more than half of them.
	late := 0
	for _, b := range got.reads.Distribution() {
		if b.From > int64(still/2) {
			late += int(b.Count)
		}
	}
	if late < 30 || got.late == 0 {
		t.Errorf("%d requests took more than %v, %d found no client; want about 50 and some", late, still/2, got.late)
	}
}

func TestLoopStops(t *testing.T) {
	s := &toy{rows: map[string]string{}}
	x := traffic{addrs: []string{s.serve(t)}, clients: 1, pipeline: 1, multi: 1, writes: 100, values: newValues(128),
		source: &uniform{newKeyspace(5, 1, nil), rand.New(rand.NewPCG(1, 1))}, duration: time.Minute}
	l, err := newLoop(x)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := l.run(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}
