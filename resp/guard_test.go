package resp

import (
	"fmt"
	"io"
	"math/rand"
	"net"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
)

// scriptConn is a client whose bytes arrive in the given pieces.
type scriptConn struct {
	net.Conn
	pieces []string
	read   int // calls of Read
}

func (s *scriptConn) Read(b []byte) (int, error) {
	s.read++
	if len(s.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(b, s.pieces[0])
	if s.pieces[0] = s.pieces[0][n:]; s.pieces[0] == "" {
		s.pieces = s.pieces[1:]
	}
	return n, nil
}
func (s *scriptConn) SetReadDeadline(time.Time) error { return nil }
func (s *scriptConn) RemoteAddr() net.Addr            { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
func (s *scriptConn) LocalAddr() net.Addr             { return s.RemoteAddr() }
func (s *scriptConn) Close() error                    { return nil }

func newTestGuard(conn net.Conn, noAuth bool) *guard {
	s := NewServer(Options{Commands: NewTable(nil)})
	c := s.newConn(conn)
	c.SetAuthenticated(!noAuth)
	return c.guard
}

// frame runs pieces through a guard as redcon would and returns the commands and the protocol error.
func frame(t testing.TB, pieces []string, noAuth bool) (commands [][]string, errText string) {
	t.Helper()
	g := newTestGuard(&scriptConn{pieces: pieces}, noAuth)
	for {
		err := g.nextBatch()
		if err == io.EOF {
			return commands, ""
		}
		if err != nil {
			t.Fatal(err)
		}
		b := g.take()
		for i := range b.ends {
			var args []string
			for _, a := range b.command(i) {
				args = append(args, string(a))
			}
			commands = append(commands, args)
		}
		if b.err != "" {
			return commands, b.err
		}
	}
}

func splits(rng *rand.Rand, data string) []string {
	var pieces []string
	for data != "" {
		n := 1 + rng.Intn(len(data))
		if rng.Intn(2) == 0 {
			n = 1 + rng.Intn(min(len(data), 4))
		}
		pieces = append(pieces, data[:n])
		data = data[n:]
	}
	return pieces
}

func TestGuardFramesRequests(t *testing.T) {
	for _, c := range []struct {
		name, data string
		want       [][]string
		err        string
	}{
		{"one command", "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", [][]string{{"GET", "k"}}, ""},
		{"pipeline", "*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nQUIT\r\n", [][]string{{"PING"}, {"QUIT"}}, ""},
		{"incomplete tail waits", "PING\r\n*1\r\n$4\r\nPI", [][]string{{"PING"}}, ""},
		{"empty argument", "*2\r\n$3\r\nGET\r\n$0\r\n\r\n", [][]string{{"GET", ""}}, ""},
		{"no arguments are no command", "*0\r\n*-10\r\nPING\r\n", [][]string{{"PING"}}, ""},
		{"empty lines are no command", "\r\n\n  \t\r\nPING\n", [][]string{{"PING"}}, ""},
		{"inline with tabs and bare LF", "SET\tk  v\n", [][]string{{"SET", "k", "v"}}, ""},
		{"inline quotes", `SET "a b\x41\n" 'c\'d' e"f"` + "\r\n", [][]string{{"SET", "a bA\n", "c'd", "ef"}}, ""},
		{"inline empty quotes", "SET k \"\"\r\n", [][]string{{"SET", "k", ""}}, ""},
		{"commands before an error count", "PING\r\n*x\r\n", [][]string{{"PING"}}, protoMultibulkLen},
		{"unbalanced", "SET \"a\r\n", nil, protoQuotes},
		{"text after a closing quote", "SET \"a\"b\r\n", nil, protoQuotes},
		{"bulk without dollar", "*1\r\nfoo\r\n", nil, "expected '$', got 'f'"},
		{"overflowing bulk", "*1\r\n$9223372036854775807\r\n", nil, protoBulkLen},
		{"bulk wraps 64 bits", "*1\r\n$18446744073709551620\r\nPING\r\n", nil, protoBulkLen},
		{"negative bulk", "*1\r\n$-1\r\n", nil, protoBulkLen},
		{"bulk over proto-max-bulk-len", "*1\r\n$67108865\r\n", nil, protoBulkLen},
		{"leading zero", "*1\r\n$01\r\nx\r\n", nil, protoBulkLen},
		{"huge multibulk", "*9223372036854775807\r\n", nil, protoMultibulkLen},
		{"large multibulk", "*1048577\r\n", nil, protoMultibulkLen},
		{"no multibulk number", "*\r\n", nil, protoMultibulkLen},
		{"endless inline", strings.Repeat("a", maxLine+1), nil, protoInline},
		{"endless multibulk line", "*" + strings.Repeat("1", maxLine), nil, protoMultibulkLine},
		{"endless bulk line", "*1\r\n$" + strings.Repeat("1", maxLine), nil, protoBulkLine},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, pieces := range map[string][]string{"whole": {c.data}, "bytes": strings.Split(c.data, "")} {
				got, errText := frame(t, pieces, false)
				if !reflect.DeepEqual(got, c.want) || errText != c.err {
					t.Errorf("%s: got %q, %q; want %q, %q", name, got, errText, c.want, c.err)
				}
			}
		})
	}
}

func TestGuardIsStrictBeforeAuth(t *testing.T) {
	for data, want := range map[string]string{
		"*11\r\n":           protoMultibulkNoAut,
		"*10\r\n$16385\r\n": protoBulkNoAuth,
		"*1\r\n$16384\r\n" + strings.Repeat("x", 10): "",
	} {
		if _, errText := frame(t, []string{data}, true); errText != want {
			t.Errorf("%.20q: got %q, want %q", data, errText, want)
		}
	}
}

// Before AUTH commands come one by one, so that AUTH lifts the limits for what follows it in the same packet.
func TestGuardStopsAfterEachCommandBeforeAuth(t *testing.T) {
	g := newTestGuard(&scriptConn{pieces: []string{"*2\r\n$4\r\nAUTH\r\n$1\r\np\r\n*11\r\n"}}, true)
	if err := g.nextBatch(); err != nil {
		t.Fatal(err)
	}
	if b := g.take(); len(b.ends) != 1 || b.err != "" {
		t.Fatalf("got %d commands and error %q with AUTH", len(b.ends), b.err)
	}
	g.conn.SetAuthenticated(true)
	if err := g.nextBatch(); err != io.EOF {
		t.Fatalf("eleven arguments after AUTH: %v", err)
	}
}

func TestGuardBoundsTheQueryBuffer(t *testing.T) {
	argument := "$1000\r\n" + strings.Repeat("x", 1000) + "\r\n"
	for header, want := range map[string]string{"*1000\r\n": "", "*2000\r\n": protoTooMuch} {
		g := newTestGuard(&scriptConn{pieces: endless(header, argument, 2000)}, false)
		g.conn.Settings().QueryBuffer.Store(queryLeast)
		if err := g.nextBatch(); err != nil {
			t.Fatal(err)
		}
		if b := g.take(); b.err != want || b.room > queryLeast {
			t.Errorf("%q: got %q with a buffer of %d bytes", header, b.err, b.room)
		}
	}
}

func endless(first, rest string, n int) []string {
	pieces := []string{first}
	for range n {
		pieces = append(pieces, rest)
	}
	return pieces
}

// An announced length takes no memory: the buffer stays within twice what has arrived.
func TestGuardGrowsByWhatArrived(t *testing.T) {
	const arrived = 100 << 10
	g := newTestGuard(&scriptConn{pieces: []string{"*1\r\n$60000000\r\n" + strings.Repeat("x", arrived)}}, false)
	if err := g.nextBatch(); err != io.EOF {
		t.Fatal(err)
	}
	if room := cap(g.parser.buf); room > 2*arrived+queryUsual {
		t.Fatalf("buffer of %d bytes for %d that arrived", room, arrived)
	}
}

// One byte at a time is the worst case of parsers that start over: here it costs a look per byte.
func TestGuardIsLinear(t *testing.T) {
	value := strings.Repeat("v", 300<<10)
	data := fmt.Sprintf("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n%s\r\n", len(value), value)
	got, errText := frame(t, strings.Split(data, ""), false)
	if errText != "" || len(got) != 1 || got[0][2] != value {
		t.Fatalf("got %d commands, %q", len(got), errText)
	}
}

// A command of very many short arguments is moved to a larger buffer a few times only, not once per few kilobytes.
func TestGuardGrowsInGreatSteps(t *testing.T) {
	const args = 300_000
	conn := &scriptConn{pieces: []string{fmt.Sprintf("*%d\r\n", args) + strings.Repeat("$6\r\nabcdef\r\n", args)}}
	g := newTestGuard(conn, false)
	if err := g.nextBatch(); err != nil {
		t.Fatal(err)
	}
	if b := g.take(); len(b.args) != args || conn.read > 60 {
		t.Fatalf("%d arguments in %d reads, each of which moved all that was held", len(b.args), conn.read)
	}
}

// The property that makes the guard safe to reason about: what it finds depends on the bytes only.
func TestGuardIsSplitInvariant(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	for range 3000 {
		data := randomRequests(rng)
		noAuth := rng.Intn(4) == 0
		want, wantErr := reference(data, DefaultMaxBulk, noAuth)
		for range 4 {
			got, errText := frame(t, splits(rng, data), noAuth)
			if !reflect.DeepEqual(got, want) || errText != wantErr {
				t.Fatalf("%q\n got %q, %q\nwant %q, %q", data, got, errText, want, wantErr)
			}
		}
	}
}

func randomRequests(rng *rand.Rand) string {
	var b strings.Builder
	for range rng.Intn(6) {
		switch rng.Intn(6) {
		case 0, 1, 2:
			n := rng.Intn(12)
			fmt.Fprintf(&b, "*%d\r\n", n)
			for range n {
				size := rng.Intn(8)
				if rng.Intn(10) == 0 {
					size = rng.Intn(20000)
				}
				fmt.Fprintf(&b, "$%d\r\n%s\r\n", size, strings.Repeat(strconv.Itoa(rng.Intn(10)), size))
			}
		case 3:
			b.WriteString([]string{"PING\r\n", "\r\n", "*0\r\n", "*-5\r\n", "a b\tc\n", "*a\r\n", "*1\r\n$-1\r\n"}[rng.Intn(7)])
		default:
			for range rng.Intn(12) {
				b.WriteByte(pick(rng, "ab \"'\\x4\t\r\x00*$"))
			}
			b.WriteString("\r\n")
		}
	}
	data := []byte(b.String())
	for len(data) > 0 && rng.Intn(3) == 0 {
		data[rng.Intn(len(data))] = pick(rng, "*$\r\n0159-x\" ")
	}
	return string(data)
}

func pick(rng *rand.Rand, from string) byte { return from[rng.Intn(len(from))] }

func FuzzGuard(f *testing.F) {
	f.Add("*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPING\r\n", int64(1), false)
	f.Add("*1\r\n$9223372036854775807\r\n", int64(2), true)
	f.Add("SET \"a\\x41\" 'b'\n*0\r\n*-1\r\n", int64(3), false)
	f.Fuzz(func(t *testing.T, data string, seed int64, noAuth bool) {
		want, wantErr := reference(data, DefaultMaxBulk, noAuth)
		got, errText := frame(t, splits(rand.New(rand.NewSource(seed)), data), noAuth)
		if !reflect.DeepEqual(got, want) || errText != wantErr {
			t.Fatalf("%q\n got %q, %q\nwant %q, %q", data, got, errText, want, wantErr)
		}
	})
}

// loopConn gives the same bytes for ever.
type loopConn struct {
	scriptConn
	data []byte
}

func (l *loopConn) Read(b []byte) (int, error) { return copy(b, l.data), nil }

func BenchmarkGuard(b *testing.B) {
	const set = "*3\r\n$3\r\nSET\r\n$16\r\nkey:000000001234\r\n$3\r\nxxx\r\n"
	for _, pipeline := range []int{1, 16} {
		b.Run(fmt.Sprint("pipeline=", pipeline), func(b *testing.B) {
			g := newTestGuard(&loopConn{data: []byte(strings.Repeat(set, pipeline))}, false)
			b.ReportAllocs()
			for n := 0; n < b.N; {
				if err := g.nextBatch(); err != nil {
					b.Fatal(err)
				}
				n += len(g.take().ends)
			}
		})
	}
}
