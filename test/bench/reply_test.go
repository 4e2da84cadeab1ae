//go:build linux

package main

import (
	"errors"
	"strings"
	"testing"
)

// TestScanReply cuts every reply at every byte: a part of it is never a reply, and the whole one is the same whatever
// follows it.
func TestScanReply(t *testing.T) {
	tests := []struct {
		in   string
		kind byte
		n    int
		body string
	}{
		{"+OK\r\n", '+', 0, "OK"},
		{"-ERR no such thing\r\n", '-', 0, "ERR no such thing"},
		{":0\r\n", ':', 0, ""},
		{":-12\r\n", ':', -12, ""},
		{"$-1\r\n", '$', -1, ""},
		{"$0\r\n\r\n", '$', 0, ""},
		{"$5\r\na\r\nbc\r\n", '$', 5, "a\r\nbc"},
		{"*20\r\n", '*', 20, ""},
		{"*-1\r\n", '*', -1, ""},
	}
	for _, test := range tests {
		for cut := range len(test.in) {
			if r, size, err := scanReply([]byte(test.in[:cut])); size != 0 || err != nil {
				t.Errorf("%q: %v, %d, %v; want incomplete", test.in[:cut], r, size, err)
			}
		}
		for _, more := range []string{"", "+", "\r\n", "$3\r\nabc\r\n"} {
			r, size, err := scanReply([]byte(test.in + more))
			if err != nil || size != len(test.in) || r.kind != test.kind || r.n != test.n || string(r.body) != test.body {
				t.Errorf("%q: %c %d %q, %d, %v", test.in+more, r.kind, r.n, r.body, size, err)
			}
		}
	}
}

func TestScanReplyRefuses(t *testing.T) {
	for _, in := range []string{
		"\r\n", "OK\r\n", "+OK\n", "$x\r\n", "$\r\n", "$-2\r\n", "*-2\r\n", ":\r\n", ":1x\r\n", "$3\r\nabcde\r\n",
		":12345678901234567890\r\n", strings.Repeat("x", maxLine+1),
	} {
		if r, size, err := scanReply([]byte(in)); !errors.Is(err, errReply) {
			t.Errorf("%.40q: %v, %d, %v; want an error", in, r, size, err)
		}
	}
}

func TestScanReplyDoesNotAllocate(t *testing.T) {
	in := []byte("$5\r\nabcde\r\n")
	if n := testing.AllocsPerRun(100, func() { _, _, _ = scanReply(in) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
