package resp

import (
	"errors"
	"fmt"
	"math"
	"net"
	"reflect"
	"strings"
	"testing"

	"context"

	"github.com/redis/go-redis/v9"
)

func TestWriterBytes(t *testing.T) {
	for _, c := range []struct {
		write        func(w *Writer)
		resp2, resp3 string
	}{
		{func(w *Writer) { w.Simple("hi") }, "+hi\r\n", "+hi\r\n"},
		{func(w *Writer) { w.OK() }, "+OK\r\n", "+OK\r\n"},
		{func(w *Writer) { w.Error("ERR a\r\nb") }, "-ERR a  b\r\n", "-ERR a  b\r\n"},
		{func(w *Writer) { w.Int(math.MinInt64) }, ":-9223372036854775808\r\n", ":-9223372036854775808\r\n"},
		{func(w *Writer) { w.Bulk([]byte("a\r\nb")) }, "$4\r\na\r\nb\r\n", "$4\r\na\r\nb\r\n"},
		{func(w *Writer) { w.BulkString("") }, "$0\r\n\r\n", "$0\r\n\r\n"},
		{func(w *Writer) { w.Null() }, "$-1\r\n", "_\r\n"},
		{func(w *Writer) { w.NullArray() }, "*-1\r\n", "_\r\n"},
		{func(w *Writer) { w.Array(2) }, "*2\r\n", "*2\r\n"},
		{func(w *Writer) { w.Map(2) }, "*4\r\n", "%2\r\n"},
		{func(w *Writer) { w.Set(2) }, "*2\r\n", "~2\r\n"},
		{func(w *Writer) { w.Push(2) }, "*2\r\n", ">2\r\n"},
		{func(w *Writer) { w.Bool(true) }, ":1\r\n", "#t\r\n"},
		{func(w *Writer) { w.Bool(false) }, ":0\r\n", "#f\r\n"},
		{func(w *Writer) { w.Double(0.1) }, "$19\r\n0.10000000000000001\r\n", ",0.10000000000000001\r\n"},
		{func(w *Writer) { w.Double(1e20) }, "$5\r\n1e+20\r\n", ",1e+20\r\n"},
		{func(w *Writer) { w.Double(math.Inf(-1)) }, "$4\r\n-inf\r\n", ",-inf\r\n"},
		{func(w *Writer) { w.Verbatim("txt", "abc") }, "$3\r\nabc\r\n", "=7\r\ntxt:abc\r\n"},
	} {
		for proto, want := range map[int]string{2: c.resp2, 3: c.resp3} {
			w := Writer{proto: proto}
			if c.write(&w); string(w.buf) != want {
				t.Errorf("RESP%d: got %q, want %q", proto, w.buf, want)
			}
		}
	}
}

func TestWriterFlushesAsItGrows(t *testing.T) {
	var got strings.Builder
	most := 0
	w := Writer{}
	w.sink = func(b []byte) error { got.Write(b); return nil }
	want := ""
	for i := range 3000 {
		text := strings.Repeat("x", i%(3*directFrom/2))
		w.BulkString("s")
		w.Bulk([]byte(text))
		want += "$1\r\ns\r\n" + fmt.Sprintf("$%d\r\n%s\r\n", len(text), text)
		most = max(most, len(w.buf))
		if len(want) > 2<<20 {
			break
		}
	}
	w.Flush()
	if got.String() != want {
		t.Error("what arrived is not what was written")
	}
	if most > flushAt {
		t.Errorf("%d bytes were gathered", most)
	}
}

func TestWriterDropsEverythingAfterAnError(t *testing.T) {
	calls := 0
	w := Writer{sink: func([]byte) error { calls++; return errors.New("gone") }}
	for range 100 {
		w.Bulk(make([]byte, directFrom))
	}
	if calls != 1 || w.Err() == nil || len(w.buf) > flushAt {
		t.Errorf("%d writes, %d bytes kept, error %v", calls, len(w.buf), w.Err())
	}
}

// go-redis reads what the Writer wrote, in both versions.
func TestWriterIsUnderstoodByClients(t *testing.T) {
	for proto, want := range map[int]any{
		2: []any{"simple", int64(-7), "bulk", nil, []any{"k", "1.5"}, []any{"m"}, int64(1), "text", []any{}},
		3: []any{"simple", int64(-7), "bulk", nil, map[any]any{"k": 1.5}, []any{"m"}, true, "text", []any{}},
	} {
		w := Writer{proto: proto}
		w.Array(9)
		w.Simple("simple")
		w.Int(-7)
		w.Bulk([]byte("bulk"))
		w.Null()
		w.Map(1)
		w.BulkString("k")
		w.Double(1.5)
		w.Set(1)
		w.BulkString("m")
		w.Bool(true)
		w.Verbatim("txt", "text")
		w.Array(0)
		if got := askClient(t, w.buf); !reflect.DeepEqual(got, want) {
			t.Errorf("RESP%d: got %#v, want %#v", proto, got, want)
		}
	}
}

// askClient returns what go-redis makes of a reply.
func askClient(t *testing.T, reply []byte) any {
	t.Helper()
	client := redis.NewClient(&redis.Options{
		Protocol: 2, DisableIdentity: true, MaxRetries: -1,
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				defer far.Close()
				buf := make([]byte, 4096)
				for {
					n, err := far.Read(buf)
					if err != nil {
						return
					}
					if answer := reply; !strings.Contains(strings.ToLower(string(buf[:n])), "hello") {
						far.Write(answer)
					} else {
						far.Write([]byte("-ERR unknown command 'HELLO'\r\n"))
					}
				}
			}()
			return near, nil
		},
	})
	defer client.Close()
	got, err := client.Do(context.Background(), "anything").Result()
	if err != nil {
		t.Fatal(err)
	}
	return got
}
