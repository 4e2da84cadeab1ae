package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"
)

// word is something hostile to say, and the whole answer to it. The speaker ends its half of the connection after it.
type word struct {
	name, bytes string
	answer      string
	locked      bool // said to a node with a password, before AUTH
	ours        bool // Redis answers otherwise, on purpose: see why
	why         string
}

const (
	pong      = "+PONG\r\n"
	ping      = "*1\r\n$4\r\nPING\r\n"
	bulkError = "-ERR Protocol error: invalid bulk length\r\n"
	manyError = "-ERR Protocol error: invalid multibulk length\r\n"
)

// words are hostile, malformed or odd requests. Every one is said whole and byte by byte.
var words = []word{
	{name: "bulk length of 2^63-1", bytes: "*1\r\n$9223372036854775807\r\n", answer: bulkError},
	{name: "bulk length of 2^64+4", bytes: "*1\r\n$18446744073709551620\r\nPING\r\n", answer: bulkError},
	{name: "bulk length of 2^31", bytes: "*1\r\n$2147483648\r\n", answer: bulkError},
	{name: "bulk length beyond proto-max-bulk-len", bytes: "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$67108865\r\n", answer: bulkError},
	{name: "negative bulk length", bytes: "*1\r\n$-1\r\n", answer: bulkError},
	{name: "bulk length that is no number", bytes: "*1\r\n$4x\r\nPING\r\n", answer: bulkError},
	{name: "empty bulk length", bytes: "*1\r\n$\r\n", answer: bulkError},
	{name: "bulk length after a valid command", bytes: ping + "*1\r\n$9223372036854775807\r\n", answer: pong + bulkError},
	{name: "endless bulk length", bytes: "*1\r\n$" + strings.Repeat("1", 70000), answer: "-ERR Protocol error: too big bulk count string\r\n"},
	{name: "multibulk count of 2^63-1", bytes: "*9223372036854775807\r\n", answer: manyError},
	{name: "multibulk count of 2^64", bytes: "*18446744073709551616\r\n", answer: manyError},
	{name: "multibulk count of 2^31", bytes: "*2147483648\r\n", answer: manyError},
	{name: "multibulk count of 2^31-1", bytes: "*2147483647\r\n", answer: manyError, ours: true,
		why: "Redis waits for two thousand million arguments; shoal takes a million at most"},
	{name: "multibulk count that is no number", bytes: "*1e9\r\n", answer: manyError},
	{name: "endless multibulk count", bytes: "*" + strings.Repeat("1", 70000), answer: "-ERR Protocol error: too big mbulk count string\r\n"},
	{name: "negative multibulk count", bytes: "*-1\r\n" + ping, answer: pong},
	{name: "multibulk count of zero", bytes: "*0\r\n" + ping, answer: pong},
	{name: "no bulk", bytes: "*2\r\n:1\r\n", answer: "-ERR Protocol error: expected '$', got ':'\r\n"},
	{name: "a command inside another", bytes: "*2\r\n*1\r\n$4\r\nPING\r\n", answer: "-ERR Protocol error: expected '$', got '*'\r\n"},
	{name: "any two bytes after an argument", bytes: "*1\r\n$4\r\nPINGxy" + ping, answer: pong + pong},
	{name: "endless inline", bytes: strings.Repeat("a", 70000), answer: "-ERR Protocol error: too big inline request\r\n"},
	{name: "open quotes", bytes: "SET k \"abc\r\n", answer: "-ERR Protocol error: unbalanced quotes in request\r\n"},
	{name: "empty lines", bytes: "\r\n\n \r\nPING\r\n", answer: pong},
	{name: "zero bytes", bytes: "\x00\x00\x00\r\nPING\r\n", answer: pong, ours: true,
		why: "Redis's search for a line end stops at a zero byte, and it waits for 64 KiB"},
	{name: "HTTP GET", bytes: "GET / HTTP/1.1\r\nHost: x\r\n\r\n", answer: "-ERR wrong number of arguments for 'get' command\r\n", ours: true,
		why: "at the second line Redis closes without sending the answer to the first"},
	{name: "HTTP POST", bytes: "POST / HTTP/1.1\r\nHost: x\r\n\r\nFLUSHALL\r\n", answer: ""},
	{name: "a request cut short", bytes: "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100\r\nabc", answer: ""},
	{name: "an unknown command with a long name", bytes: "*1\r\n$1000\r\n" + strings.Repeat("x", 1000) + "\r\n",
		answer: "-ERR unknown command '" + strings.Repeat("x", 128) + "', with args beginning with: \r\n"},
	{name: "an empty command name", bytes: "*1\r\n$0\r\n\r\n", answer: "-ERR unknown command '', with args beginning with: \r\n"},

	{name: "11 arguments before AUTH", bytes: "*11\r\n", locked: true, answer: "-ERR Protocol error: unauthenticated multibulk length\r\n"},
	{name: "a long argument before AUTH", bytes: "*2\r\n$4\r\nAUTH\r\n$16385\r\n", locked: true,
		answer: "-ERR Protocol error: unauthenticated bulk length\r\n"},
	{name: "a command before AUTH", bytes: "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", locked: true, answer: "-NOAUTH Authentication required.\r\n"},
	{name: "a wrong password", bytes: "AUTH wrong\r\n", locked: true,
		answer: "-WRONGPASS invalid username-password pair or user is disabled.\r\n"},
}

// sayWord says it on a connection of its own and returns all that comes back. Byte by byte it goes on until the other
// end closes.
func sayWord(addr string, w word, byteByByte bool) (string, error) {
	conn, err := dial(addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return "", err
	}
	heard := make(chan heardAll, 1)
	go func() {
		b, err := io.ReadAll(io.LimitReader(conn, 1<<20))
		heard <- heardAll{b, err}
	}()
	step := len(w.bytes)
	if byteByByte {
		step = 1
	}
	for rest := []byte(w.bytes); len(rest) > 0; rest = rest[min(step, len(rest)):] {
		if _, err := conn.Write(rest[:min(step, len(rest))]); err != nil {
			break // closed before it was all said: what came back tells whether rightly so
		}
	}
	_ = conn.(*net.TCPConn).CloseWrite()
	all := <-heard
	if all.err != nil && (!errors.Is(all.err, syscall.ECONNRESET) || len(all.bytes) == 0 && w.answer != "") {
		return string(all.bytes), all.err
	}
	return string(all.bytes), nil
}

type heardAll struct {
	bytes []byte
	err   error
}

// checkWord says a word and compares the answer.
func checkWord(addr string, w word, byteByByte bool) error {
	got, err := sayWord(addr, w, byteByByte)
	how := "whole"
	if byteByByte {
		how = "byte by byte"
	}
	switch {
	case got == w.answer && err == nil:
		return nil
	case err != nil:
		return fmt.Errorf("%s, %s: %q, then %w", w.name, how, clip(got), err)
	}
	return fmt.Errorf("%s, %s: answer %q, want %q", w.name, how, clip(got), clip(w.answer))
}

func clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "..."
	}
	return s
}

func dial(addr string) (net.Conn, error) { return net.DialTimeout("tcp", addr, 5*time.Second) }

// command is a request of RESP.
func command(args ...string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	return b.Bytes()
}
