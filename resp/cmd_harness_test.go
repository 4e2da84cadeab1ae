package resp

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// cmdClient is a client of a real server on loopback. Replies are compared in a compact form: +simple, -error, :int,
// "bulk", txt"verbatim", nil, [array], ~[set], {key=value}.
type cmdClient struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

// cmdServe serves the backend with the real table.
func cmdServe(t *testing.T, b *cmdBackend) (s *Server, address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	opts := Options{Backend: b, Commands: Commands(), Now: func() time.Time { return cmdNow }}
	inLoop(t, &opts)
	s = NewServer(opts)
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
		<-done
	})
	return s, ln.Addr().String()
}

// cmdConnect serves the backend and connects one client.
func cmdConnect(t *testing.T, b *cmdBackend) *cmdClient {
	t.Helper()
	_, address := cmdServe(t, b)
	return cmdDial(t, address)
}

func cmdDial(t *testing.T, address string) *cmdClient {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &cmdClient{t, conn, bufio.NewReader(conn)}
}

// ask sends a command line; a word in double quotes is a Go string.
func (c *cmdClient) ask(line string) string {
	c.t.Helper()
	words := strings.Fields(line)
	request := fmt.Sprintf("*%d\r\n", len(words))
	for _, word := range words {
		if strings.HasPrefix(word, `"`) {
			plain, err := strconv.Unquote(word)
			if err != nil {
				c.t.Fatalf("%s: %v", word, err)
			}
			word = plain
		}
		request += fmt.Sprintf("$%d\r\n%s\r\n", len(word), word)
	}
	c.conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(c.conn, request); err != nil {
		return "closed"
	}
	return c.read()
}

func (c *cmdClient) read() string {
	line, err := c.in.ReadString('\n')
	if err != nil {
		return "closed"
	}
	line = strings.TrimSuffix(line, "\r\n")
	n, _ := strconv.Atoi(line[1:])
	switch line[0] {
	case '_':
		return "nil"
	case '$':
		if n < 0 {
			return "nil"
		}
		return strconv.Quote(c.bytes(n))
	case '=':
		body := c.bytes(n)
		return body[:3] + strconv.Quote(body[4:])
	case '*':
		if n < 0 {
			return "nil"
		}
		return "[" + c.items(n, " ") + "]"
	case '~':
		return "~[" + c.items(n, " ") + "]"
	case '%':
		pairs := make([]string, n)
		for i := range pairs {
			pairs[i] = c.items(2, "=")
		}
		return "{" + strings.Join(pairs, " ") + "}"
	}
	return line
}

func (c *cmdClient) bytes(n int) string {
	b := make([]byte, n+2)
	if _, err := io.ReadFull(c.in, b); err != nil {
		c.t.Fatal(err)
	}
	return string(b[:n])
}

func (c *cmdClient) items(n int, between string) string {
	items := make([]string, n)
	for i := range items {
		items[i] = c.read()
	}
	return strings.Join(items, between)
}

// cmdCase is a line and its reply.
type cmdCase struct{ ask, want string }

// dialogue sends the lines in order over one connection.
func (c *cmdClient) dialogue(cases []cmdCase) {
	c.t.Helper()
	for _, x := range cases {
		if got := c.ask(x.ask); got != x.want {
			c.t.Errorf("%s\n got %s\nwant %s", x.ask, got, x.want)
		}
	}
}
