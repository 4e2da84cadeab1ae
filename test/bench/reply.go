//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
)

// maxLine is the longest line of a reply that is waited for; servers send bulk strings for anything longer.
const maxLine = 4096

var errReply = errors.New("not a RESP2 reply")

// reply is one RESP2 element. An array is its header only: its elements follow as replies of their own, so nothing has
// to be kept while they arrive.
type reply struct {
	kind byte   // + - : $ *
	n    int    // the integer of :, the length of $ and *; -1 is nil
	body []byte // the text of + and -, the string of $; points into the scanned buffer
}

// scanReply reads the element at the start of b. size is what it takes of b, 0 while it is incomplete. It allocates
// nothing unless it fails.
func scanReply(b []byte) (r reply, size int, err error) {
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		if len(b) > maxLine {
			return r, 0, fmt.Errorf("%w: a line of more than %d bytes", errReply, maxLine)
		}
		return r, 0, nil
	}
	if end < 2 || b[end-1] != '\r' {
		return r, 0, fmt.Errorf("%w: %q", errReply, b[:end+1])
	}
	r.kind = b[0]
	line := b[1 : end-1]
	size = end + 1
	switch r.kind {
	case '+', '-':
		r.body = line
		return r, size, nil
	case ':', '$', '*':
	default:
		return r, 0, fmt.Errorf("%w: %q", errReply, b[:size])
	}
	n, ok := parseInt(line)
	if !ok || r.kind != ':' && n < -1 {
		return r, 0, fmt.Errorf("%w: %q", errReply, b[:size])
	}
	r.n = n
	if r.kind != '$' || n < 0 {
		return r, size, nil
	}
	if len(b) < size+n+2 {
		return r, 0, nil
	}
	if b[size+n] != '\r' || b[size+n+1] != '\n' {
		return r, 0, fmt.Errorf("%w: a string of %d bytes does not end there", errReply, n)
	}
	r.body = b[size : size+n]
	return r, size + n + 2, nil
}

// parseInt reads a decimal number of at most 18 digits. strconv wants a string, which would be an allocation.
func parseInt(b []byte) (n int, ok bool) {
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	if negative {
		n = -n
	}
	return n, true
}
