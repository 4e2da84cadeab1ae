package resp

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"shoal/ring"
	"shoal/wire"
)

// noteBackend is a store in a map that notes the vectors it was given.
type noteBackend struct {
	mu      sync.Mutex
	values  map[string]string
	vectors []string
	gets    int
	loading string
	onExec  func(ops []wire.Op)

	clientMemory int64 // of servers that run makes
}

func newNoteBackend() *noteBackend { return &noteBackend{values: make(map[string]string)} }

func (b *noteBackend) Exec(ops []wire.Op, out []wire.Result) {
	if b.onExec != nil {
		b.onExec(ops)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var note []string
	seen := make(map[string]bool)
	for i := range ops {
		key := string(ops[i].Key)
		if seen[key] {
			panic("key twice in a vector: " + key)
		}
		seen[key] = true
		if ops[i].Code == wire.OpSet {
			note = append(note, "set "+key)
			b.values[key] = string(ops[i].Value)
			continue
		}
		if ops[i].Code == wire.OpExpiry {
			note = append(note, "ttl "+key)
			continue
		}
		note = append(note, "get "+key)
		b.gets++
		if v, ok := b.values[key]; ok {
			out[i].Found, out[i].Value = true, []byte(v)
		}
	}
	b.vectors = append(b.vectors, strings.Join(note, ", "))
}

func (b *noteBackend) Ready() string                            { return b.loading }
func (b *noteBackend) DBSize() (int64, wire.Result)             { return 0, wire.Result{} }
func (b *noteBackend) Flush() wire.Result                       { return wire.Result{} }
func (b *noteBackend) Repair(int) int                           { return 0 }
func (b *noteBackend) Divergence() []PeerDivergence             { return nil }
func (b *noteBackend) Digests() []PartitionDigest               { return nil }
func (b *noteBackend) CountSlot(ring.Slot) (int64, wire.Result) { return 0, wire.Result{} }
func (b *noteBackend) Ring() *ring.Map                          { return nil }
func (b *noteBackend) Self() ring.NodeID                        { return 1 }
func (b *noteBackend) Live(ring.NodeID) bool                    { return true }
func (b *noteBackend) Info(string) []InfoField                  { return nil }

// miniTable has just enough commands to see how a batch runs.
func miniTable() *Table {
	return NewTable([]*Command{
		{Name: "get", Arity: 2, Flags: FlagReadonly, Plan: planGets},
		{Name: "ttl", Arity: 2, Flags: FlagReadonly, Plan: planRead(wire.OpExpiry, replyInt)},
		{Name: "mget", Arity: -2, Flags: FlagReadonly, Plan: planGets},
		{Name: "set", Arity: 3, Flags: FlagWrite, Plan: func(_ *Conn, args [][]byte, v *Vector) (Reply, string) {
			if string(args[2]) == "bad" {
				v.Add(wire.Op{Code: wire.OpSet, Key: []byte("never")})
				return nil, "ERR bad value"
			}
			v.Add(wire.Op{Code: wire.OpSet, Key: args[1], Value: args[2]})
			return func(w *Writer, _ []wire.Op, _ []wire.Result) { w.OK() }, ""
		}},
		{Name: "ping", Arity: 1, Run: func(_ *Conn, _ [][]byte, w *Writer) { w.Simple("PONG") }},
		{Name: "auth", Arity: 2, Flags: FlagNoAuth | FlagLoading, Run: func(c *Conn, args [][]byte, w *Writer) {
			c.SetAuthenticated(string(args[1]) == c.Settings().Password())
			w.OK()
		}},
		{Name: "quit", Arity: 1, Flags: FlagNoAuth | FlagLoading, Run: func(c *Conn, _ [][]byte, w *Writer) {
			w.OK()
			c.CloseAfterReply()
		}},
		{Name: "panic", Arity: 1, Run: func(*Conn, [][]byte, *Writer) { panic("told to") }},
		{Name: "config", Arity: -2, Subcommands: []*Command{
			{Name: "get", Arity: 3, Run: func(_ *Conn, args [][]byte, w *Writer) { w.Bulk(args[2]) }},
		}},
	})
}

func planGets(_ *Conn, args [][]byte, v *Vector) (Reply, string) {
	for _, key := range args[1:] {
		v.Add(wire.Op{Code: wire.OpGet, Key: key})
	}
	many := equalFold(args[0], "mget")
	return func(w *Writer, ops []wire.Op, res []wire.Result) {
		if many {
			w.Array(len(ops))
		}
		for i := range res {
			if res[i].Found {
				w.Bulk(res[i].Value)
			} else {
				w.Null()
			}
		}
	}, ""
}

// run feeds requests to a connection with a fake backend and returns the replies.
func run(t *testing.T, b *noteBackend, readCap int, requests string) string {
	t.Helper()
	s := NewServer(Options{Backend: b, Commands: miniTable()})
	s.Settings().ClientMemory.Store(b.clientMemory)
	c := s.newConn(&scriptConn{pieces: []string{requests}})
	c.readCap = readCap
	var out strings.Builder
	c.w.sink = func(p []byte) error { out.Write(p); return nil }
	for {
		if err := c.guard.nextBatch(); err == io.EOF {
			return out.String()
		} else if err != nil {
			t.Fatal(err)
		}
		s.serveBatch(c)
		if used := s.budget.used.Load(); used != 0 && c.held.query < holdFree {
			t.Fatalf("%d bytes are counted after the batch", used)
		}
	}
}

func TestPipelineRunsAsVectors(t *testing.T) {
	for _, c := range []struct {
		name, requests, replies string
		vectors                 []string
	}{
		{"different keys together", "set a 1\nset b 2\nget c\n", "+OK +OK $-1",
			[]string{"set a, set b, get c"}},
		{"one key in order", "set a 1\nget a\nset a 2\nget a\n", "+OK $1 1 +OK $1 2",
			[]string{"set a", "get a", "set a", "get a"}},
		{"a later operation starts the next vector", "set a 1\nset b 1\nset a 2\nset c 1\n", "+OK +OK +OK +OK",
			[]string{"set a, set b", "set a, set c"}},
		{"several keys are several operations", "mget a b\nset c 1\n", "*2 $-1 $-1 +OK",
			[]string{"get a, get b, set c"}},
		{"one key twice in a command", "set a 1\nmget a b a\n", "+OK *3 $1 1 $-1 $1 1",
			[]string{"set a", "get a, get b"}},
		{"repeated reads share a result", "set a 1\nget a\nget b\nget a\nmget b a\nset a 2\nget a\nget a\n",
			"+OK $1 1 $-1 $1 1 *2 $-1 $1 1 +OK $1 2 $1 2",
			[]string{"set a", "get a, get b", "set a", "get a"}},
		{"different reads of a key do not", "get a\nttl a\nttl a\nget a\n", "$-1 :0 :0 $-1",
			[]string{"get a", "ttl a", "get a"}},
		{"commands of the connection run between", "set a 1\nping\nset b 1\n", "+OK +PONG +OK",
			[]string{"set a", "set b"}},
		{"refused commands answer in their place", "set a 1\nset a bad\nnope x\nget\nget a\n",
			"+OK -ERR bad value -" + errUnknownCommand([][]byte{[]byte("nope"), []byte("x")}) +
				" -ERR wrong number of arguments for 'get' command $1 1",
			[]string{"set a", "get a"}},
		{"nothing runs after QUIT", "set a 1\nquit\nset b 1\n", "+OK +OK", []string{"set a"}},
		{"commands before a protocol error run", "set a 1\nget a\n*x\r\n",
			"+OK $1 1 -ERR Protocol error: invalid multibulk length", []string{"set a", "get a"}},
		{"subcommands", "config get x\nconfig nope\nCONFIG\nconfig get\n", "$1 x -" +
			errUnknownSubcommand("config", []byte("nope")) + " -ERR wrong number of arguments for 'config' command" +
			" -ERR wrong number of arguments for 'config|get' command", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newNoteBackend()
			got := strings.TrimSuffix(strings.ReplaceAll(run(t, b, 64, c.requests), "\r\n", " "), " ")
			if got != c.replies {
				t.Errorf("replies\n got %q\nwant %q", got, c.replies)
			}
			if fmt.Sprintf("%q", b.vectors) != fmt.Sprintf("%q", c.vectors) {
				t.Errorf("vectors\n got %q\nwant %q", b.vectors, c.vectors)
			}
		})
	}
}

func TestVectorsAreBounded(t *testing.T) {
	t.Run("operations", func(t *testing.T) {
		b := newNoteBackend()
		var keys strings.Builder
		for i := range 3000 {
			fmt.Fprintf(&keys, " k%d", i)
		}
		b.onExec = func(ops []wire.Op) {
			if len(ops) > vectorOps {
				t.Errorf("vector of %d operations", len(ops))
			}
		}
		if got := run(t, b, vectorOps, "mget"+keys.String()+"\n"); strings.Count(got, "$-1\r\n") != 3000 {
			t.Errorf("%d replies", strings.Count(got, "$-1\r\n"))
		}
	})
	t.Run("arguments", func(t *testing.T) {
		b := newNoteBackend()
		value := strings.Repeat("v", 300<<10)
		var requests strings.Builder
		for i := range 8 {
			fmt.Fprintf(&requests, "*3\r\n$3\r\nset\r\n$1\r\n%d\r\n$%d\r\n%s\r\n", i, len(value), value)
		}
		b.onExec = func(ops []wire.Op) {
			if len(ops) > 3 {
				t.Errorf("vector of %d operations with 300 KiB each", len(ops))
			}
		}
		run(t, b, 64, requests.String())
	})
}

// Values may be large, so a connection starts with few reads per vector; small values earn more, large ones fewer.
func TestReadsPerVectorFollowTheSizeOfValues(t *testing.T) {
	b := newNoteBackend()
	for i := range 400 {
		b.values[fmt.Sprint("s", i)] = "v"
	}
	for i := range 4 {
		b.values[fmt.Sprint("large", i)] = strings.Repeat("v", vectorReplies)
	}
	var sizes []int
	b.onExec = func(ops []wire.Op) { sizes = append(sizes, len(ops)) }
	var requests strings.Builder
	for i := range 400 {
		fmt.Fprintf(&requests, "get s%d\n", i)
	}
	run(t, b, readCapFirst, requests.String())
	if got, want := fmt.Sprint(sizes), "[4 16 64 256 60]"; got != want {
		t.Errorf("small values: vectors of %s, want %s", got, want)
	}
	sizes = nil
	run(t, b, 2, "get large0\nget large1\nget large2\nget large3\n")
	if got, want := fmt.Sprint(sizes), "[2 1 1]"; got != want {
		t.Errorf("large values: vectors of %s, want %s", got, want)
	}
}

func TestCommandWithTooLargeReplyIsRefused(t *testing.T) {
	b := newNoteBackend()
	value, request := strings.Repeat("v", 1<<20), "mget"
	for i := range 1000 {
		key := fmt.Sprint("large", i)
		b.values[key] = value
		request += " " + key
	}
	got := run(t, b, 4, request+"\nget none\n")
	if !strings.HasPrefix(got, "-ERR the reply of 'mget' is larger") || !strings.HasSuffix(got, "\r\n$-1\r\n") {
		t.Errorf("got %.100q", got)
	}
	if held := commandReplies >> 20; b.gets > held+3 {
		t.Errorf("%d MiB read for a refused reply of at most %d", b.gets, held)
	}
}

func TestCommandIsRefusedWhenTheServerHoldsTooMuch(t *testing.T) {
	b := newNoteBackend()
	b.clientMemory = 8 << 20
	value, request := strings.Repeat("v", 1<<20), "mget"
	for i := range 100 {
		key := fmt.Sprint("large", i)
		b.values[key] = value
		request += " " + key
	}
	got := run(t, b, 4, request+"\nget none\nget large0\n")
	if !strings.HasPrefix(got, "-"+errClientMemory+"\r\n$-1\r\n$1048576\r\n") {
		t.Errorf("got %.100q", got)
	}
	if b.gets > 12 {
		t.Errorf("%d MiB read with room for 8", b.gets)
	}
}

func TestUnreadyAndUnauthenticated(t *testing.T) {
	b := newNoteBackend()
	b.loading = "the node has no map yet"
	if got := run(t, b, 4, "ping\nget a\nset a bad\nquit\n"); got != strings.Repeat("-LOADING the node has no map yet\r\n", 3)+"+OK\r\n" {
		t.Errorf("loading: %q", got)
	}
}

func BenchmarkBatch(b *testing.B) {
	const pipeline = 16
	var requests strings.Builder
	for i := range pipeline {
		fmt.Fprintf(&requests, "*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$3\r\nxxx\r\n", i)
	}
	s := NewServer(Options{Backend: nullBackend{newNoteBackend()}, Commands: miniTable()})
	c := s.newConn(&loopConn{data: []byte(requests.String())})
	c.w.sink = func([]byte) error { return nil }
	b.ReportAllocs()
	for n := 0; n < b.N; n += pipeline {
		if err := c.guard.nextBatch(); err != nil {
			b.Fatal(err)
		}
		s.serveBatch(c)
	}
}

type nullBackend struct{ *noteBackend }

func (nullBackend) Exec([]wire.Op, []wire.Result) {}
