package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tidwall/redcon"
)

const index = `Package: zlib1g
Version: 1:1.2.13
Depends: libc6 (>= 2.14)
Pre-Depends: dpkg
Description: compression library - runtime
 zlib is a library.
 .
 It compresses.
Description-md5: 567f396aeeb2b2b63295099aed237057
Tag: role::shared-lib,
 implemented-in::c

Package: alone
Description-en: needs nothing

Package: zlib1g
Description: the same once more
`

func TestParseIndex(t *testing.T) {
	entries, packages, err := parseIndex(strings.NewReader(index))
	if err != nil || packages != 2 {
		t.Fatalf("%d packages, %v", packages, err)
	}
	want := []entry{
		{"package:zlib1g:description", "compression library - runtime\n zlib is a library.\n .\n It compresses."},
		{"package:zlib1g:depends", "libc6 (>= 2.14), dpkg"},
		{"package:alone:description", "needs nothing"},
	}
	for i := range max(len(want), len(entries)) {
		if i >= len(want) || i >= len(entries) || entries[i] != want[i] {
			t.Fatalf("got %q\nwant %q", entries, want)
		}
	}
}

func TestDataSetTooSmall(t *testing.T) {
	file := filepath.Join(t.TempDir(), "data")
	if err := keys(strings.NewReader(index), io.Discard, file, 4); err == nil {
		t.Error("three keys passed for four")
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("a data set was written all the same")
	}
}

func TestDataSetComesBack(t *testing.T) {
	file := filepath.Join(t.TempDir(), "data")
	if err := keys(strings.NewReader(index), io.Discard, file, 3); err != nil {
		t.Fatal(err)
	}
	got, err := readData(file)
	if err != nil {
		t.Fatal(err)
	}
	want, _, _ := parseIndex(strings.NewReader(index))
	if !bytes.Equal(encode(got), encode(want)) {
		t.Errorf("got %q, want %q", got, want)
	}
	raw := encode(want)
	if err := os.WriteFile(file, raw[:len(raw)-5], 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := readData(file); err == nil {
		t.Error("a data set that is broken off was read")
	}
}

// TestHistoryAccepts is the whole question that verify asks: after these rounds, may the key read so?
func TestHistoryAccepts(t *testing.T) {
	for _, c := range []struct {
		history string // one letter per round
		accepts []int  // 0 is missing
	}{
		{"a", []int{1}},
		{"aa", []int{2}},
		{"au", []int{1, 2}},
		{"ar", []int{1}},
		{"a-", []int{1}},
		{"auu", []int{1, 2, 3}},
		{"aua", []int{3}},
		{"aau", []int{2, 3}},
		{"aru", []int{1, 3}},
		{"u", []int{0, 1}},
		{"r", []int{0}},
		{"-", []int{0}},
	} {
		for round := strange; round <= len(c.history); round++ {
			want := false
			for _, r := range c.accepts {
				want = want || r == round
			}
			if got := history(c.history).accepts(round); got != want {
				t.Errorf("history %s, round %d: %v, want %v", c.history, round, got, want)
			}
		}
	}
}

func TestOutcomeOf(t *testing.T) {
	s := serve(t)
	client := connect(s.addr)
	defer client.Close()
	for text, want := range map[string]outcome{
		"NOREPLICAS Not enough good replicas to write.": refused,
		"LOADING no map yet":                            refused,
		"TRYAGAIN moving":                               refused,
		"CLUSTERDOWN The cluster is down":               refused,
		"UNCERTAIN write reached 1 of 2 replicas":       unknown,
		"ERR something else":                            unknown,
	} {
		s.answer(func(string, string) string { return text })
		if got := outcomeOf(client.Set(t.Context(), "k", "v", 0).Err()); got != want {
			t.Errorf("%s: %c, want %c", text, got, want)
		}
	}
	if got := outcomeOf(errors.New("NOREPLICAS said by nobody")); got != unknown {
		t.Errorf("an error that no server sent: %c", got)
	}
	if got := outcomeOf(nil); got != acknowledged {
		t.Errorf("no error: %c", got)
	}
}

// TestRounds writes through two addresses of one honest store, of which one fails on some keys, and verifies. Then the
// store loses a write, brings an older value back, and invents one: verify finds each.
func TestRounds(t *testing.T) {
	dir := t.TempDir()
	data, book := filepath.Join(dir, "data"), filepath.Join(dir, "book2")
	if err := keys(strings.NewReader(index), io.Discard, data, 3); err != nil {
		t.Fatal(err)
	}
	entries, _ := readData(data)
	s := serve(t)
	for _, e := range entries {
		s.values[e.key] = e.value(1)
	}
	s.answer(func(key, _ string) string {
		if key == "package:alone:description" {
			return "NOREPLICAS no"
		}
		return ""
	})
	job := writeJob{data: data, book: book, round: 2, addrs: []string{s.addr}, rate: 1000, least: 0.5}
	var out bytes.Buffer
	if err := write(t.Context(), &out, job); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "progress 100\n") || !strings.Contains(out.String(), "2 acknowledged, 1 refused") {
		t.Errorf("write said:\n%s", &out)
	}
	if got, _ := os.ReadFile(book); string(got) != "aar" {
		t.Errorf("book %q, want aar", got)
	}
	job.least = 0.9
	if err := write(t.Context(), io.Discard, job); err == nil {
		t.Error("two of three passed for nine tenths")
	}

	check := func(what, want string) {
		t.Helper()
		var out bytes.Buffer
		err := verify(t.Context(), &out, data, []string{book}, []string{s.addr, s.addr})
		if (err == nil) != (what == "nothing") || strings.Count(out.String(), want) != 2 {
			t.Errorf("%s: %v, said:\n%s", what, err, &out)
		}
	}
	check("nothing", "3 verified (0 of them by a later unacknowledged value), 0 wrong, 0 missing, 0 errors")
	e := entries[0]
	for what, c := range map[string]struct{ value, want string }{
		"an older value":     {e.value(1), "2 verified (0 of them by a later unacknowledged value), 1 wrong"},
		"a value never set":  {"invented", "1 wrong, 0 missing"},
		"a value of another": {entries[1].value(2), "1 wrong, 0 missing"},
	} {
		s.values[e.key] = c.value
		check(what, c.want)
	}
	delete(s.values, e.key)
	check("a lost key", "0 wrong, 1 missing")
}

// TestUnreachable: nothing answers, so nothing is acknowledged, nothing verifies, and both end.
func TestUnreachable(t *testing.T) {
	dir := t.TempDir()
	data, book := filepath.Join(dir, "data"), filepath.Join(dir, "book")
	if err := keys(strings.NewReader(index), io.Discard, data, 3); err != nil {
		t.Fatal(err)
	}
	s := serve(t)
	s.close()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	job := writeJob{data: data, book: book, round: 2, addrs: []string{s.addr}, rate: 1000, least: 0.5}
	if err := write(ctx, io.Discard, job); err == nil {
		t.Error("write to nobody passed")
	}
	if err := verify(ctx, io.Discard, data, []string{book}, []string{s.addr}); err == nil {
		t.Error("reading from nobody passed")
	}
}

// store is a server that knows SET and GET.
type store struct {
	addr  string
	close func()

	mu     sync.Mutex
	values map[string]string
	refuse func(key, value string) string // the error that SET answers, "" for none
}

func serve(t *testing.T) *store {
	s := &store{values: map[string]string{}, refuse: func(string, string) string { return "" }}
	server := redcon.NewServer("127.0.0.1:0", s.handle, nil, nil)
	ready := make(chan error)
	go server.ListenServeAndSignal(ready)
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	s.addr = server.Addr().String()
	s.close = sync.OnceFunc(func() { server.Close() })
	t.Cleanup(s.close)
	return s
}

func (s *store) answer(refuse func(key, value string) string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = refuse
}

func (s *store) handle(conn redcon.Conn, command redcon.Command) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch strings.ToUpper(string(command.Args[0])) {
	case "SET":
		key, value := string(command.Args[1]), string(command.Args[2])
		if text := s.refuse(key, value); text != "" {
			conn.WriteError(text)
			return
		}
		s.values[key] = value
		conn.WriteString("OK")
	case "GET":
		if value, ok := s.values[string(command.Args[1])]; ok {
			conn.WriteBulkString(value)
			return
		}
		conn.WriteNull()
	default:
		conn.WriteError("ERR unknown command")
	}
}
