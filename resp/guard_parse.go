package resp

import (
	"bytes"
	"slices"
)

// Redis's limits on what a request may look like, in bytes unless named otherwise.
const (
	maxLine       = 64 << 10 // inline requests and the lines that announce lengths
	maxArgs       = 1 << 20  // arguments of one command
	maxArgsNoAuth = 10       // the same before AUTH
	maxBulkNoAuth = 16384    // and the length of one of them
	batchCommands = 1024     // commands of one batch
	batchArgs     = 8192     // a batch ends with the command that reaches this number of arguments
)

// The protocol errors; "ERR Protocol error: " goes before them and the connection ends after them.
const (
	protoMultibulkLen   = "invalid multibulk length"
	protoBulkLen        = "invalid bulk length"
	protoMultibulkLine  = "too big mbulk count string"
	protoBulkLine       = "too big bulk count string"
	protoInline         = "too big inline request"
	protoQuotes         = "unbalanced quotes in request"
	protoMultibulkNoAut = "unauthenticated multibulk length"
	protoBulkNoAuth     = "unauthenticated bulk length"
	protoTooMuch        = "query buffer limit reached" // Redis closes without a word here
	protoNoMemory       = "maxmemory-clients reached"  // and here
)

// limits are what may change between two commands.
type limits struct {
	maxBulk int64
	noAuth  bool // not authenticated: strict limits, and one command at a time, since it may be AUTH
}

// span is a part of the buffer.
type span struct{ from, to uint32 }

// parser frames commands in a buffer that grows at its end. It keeps its place, so that every byte is looked at a
// bounded number of times however the bytes arrive, and the commands it finds depend on the bytes only, never on how
// they were split.
type parser struct {
	mem   *query // whose memory this is
	buf   []byte
	pos   int // parsed up to here
	scan  int // no line end in buf[pos:scan]
	start int // where the incomplete command begins
	left  int // arguments the incomplete command still lacks; 0: none is begun
	bulk  int // length of the argument being read, -1: not known yet

	args []span // of the complete commands, then of the incomplete one
	ends []int  // ends[i]: where command i's arguments end in args
	err  string // protocol error that ended parsing, without its prefix
}

// parse frames complete commands until the bytes, the batch or the patience ends.
func (p *parser) parse(l limits) {
	most := batchCommands
	if l.noAuth {
		most = 1
	}
	for p.err == "" && len(p.ends) < most && (p.left > 0 || len(p.args) < batchArgs) {
		if p.left > 0 {
			if !p.argument(l) {
				return
			}
			continue
		}
		p.start = p.pos
		if p.pos == len(p.buf) {
			return
		}
		more := false
		if p.buf[p.pos] == '*' {
			if !l.noAuth && p.quick() {
				continue
			}
			more = p.multibulk(l)
		} else {
			more = p.inline()
		}
		if !more {
			return
		}
	}
}

// line finds the end of the line that begins at pos. ok is false while it has not arrived, and tooLong is set once it
// cannot be a legal line any more.
func (p *parser) line(end byte) (at int, ok, tooLong bool) {
	window := p.buf[:min(len(p.buf), p.pos+maxLine+1)]
	from := max(p.scan, p.pos)
	if i := bytes.IndexByte(window[from:], end); i >= 0 {
		return from + i, true, false
	}
	p.scan = len(window)
	return 0, false, len(window) == p.pos+maxLine+1
}

// lengthLine reads the number of a "*n\r\n" or "$n\r\n" line. As in Redis the line ends at the CR, and the byte after
// it is taken unseen.
func (p *parser) lengthLine(tooLong string) (at int, ok bool) {
	for at := p.pos; at < min(len(p.buf)-1, p.pos+8); at++ { // the usual short line, quicker than a search
		if p.buf[at] == '\r' {
			return at, true
		}
	}
	at, ok, long := p.line('\r')
	if long {
		p.err = tooLong
		return 0, false
	}
	if ok && at+1 >= len(p.buf) {
		p.scan = at
		return 0, false
	}
	return at, ok
}

// multibulk reads "*n\r\n". n <= 0 is no command and no error.
func (p *parser) multibulk(l limits) bool {
	at, ok := p.lengthLine(protoMultibulkLine)
	if !ok {
		return false
	}
	n, ok := parseLength(p.buf[p.pos+1 : at])
	switch {
	case !ok || n > maxArgs:
		p.err = protoMultibulkLen
		return false
	case n > maxArgsNoAuth && l.noAuth:
		p.err = protoMultibulkNoAut
		return false
	}
	p.pos = at + 2
	if n > 0 {
		p.left, p.bulk = int(n), -1
	}
	return true
}

// argument reads one "$n\r\n...\r\n" of the incomplete command.
func (p *parser) argument(l limits) bool {
	if p.bulk < 0 && !p.bulkLength(l) {
		return false
	}
	if len(p.buf)-p.pos < p.bulk+2 {
		return false
	}
	if len(p.args) == cap(p.args) { // in greater steps than append, which leaves much behind at a million arguments
		p.args = slices.Grow(p.args, min(p.left, max(16, len(p.args))))
	}
	p.args = append(p.args, span{uint32(p.pos), uint32(p.pos + p.bulk)})
	p.pos += p.bulk + 2
	p.bulk = -1
	if p.left--; p.left == 0 {
		p.ends = append(p.ends, len(p.args))
		p.start = p.pos
	}
	return true
}

func (p *parser) bulkLength(l limits) bool {
	at, ok := p.lengthLine(protoBulkLine)
	if !ok {
		return false
	}
	if ch := p.buf[p.pos]; ch != '$' {
		p.err = "expected '$', got '" + string([]byte{ch}) + "'"
		return false
	}
	n, ok := parseLength(p.buf[p.pos+1 : at])
	switch {
	case !ok || n < 0 || n > l.maxBulk:
		p.err = protoBulkLen
		return false
	case n > maxBulkNoAuth && l.noAuth:
		p.err = protoBulkNoAuth
		return false
	}
	p.pos, p.bulk = at+2, int(n)
	return true
}

// parseLength reads a decimal number exactly as Redis does: no sign but '-', no leading zero, no blank, no overflow.
func parseLength(b []byte) (int64, bool) {
	neg := len(b) > 0 && b[0] == '-'
	if neg {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > 18 { // 18 digits cannot overflow, and no legal length has more
		return 0, false
	}
	if b[0] == '0' {
		return 0, len(b) == 1 && !neg
	}
	n := int64(0)
	for _, ch := range b {
		if ch < '0' || ch > '9' {
			return 0, false
		}
		n = n*10 + int64(ch-'0')
	}
	if neg {
		n = -n
	}
	return n, true
}

// drop forgets the commands found so far; the incomplete one stays.
func (p *parser) drop() {
	if len(p.ends) == 0 {
		return
	}
	n := copy(p.args, p.args[p.ends[len(p.ends)-1]:])
	p.args, p.ends = p.args[:n], p.ends[:0]
	if cap(p.args) > 4*batchArgs && n < batchArgs {
		p.args = append([]span(nil), p.args...)
	}
}

// compact moves the incomplete command to the front of the buffer. No complete command may be held.
func (p *parser) compact(into []byte) {
	by := p.start
	p.buf = into[:copy(into[:cap(into)], p.buf[by:])]
	p.pos -= by
	p.scan = max(0, p.scan-by)
	p.start = 0
	for i := range p.args {
		p.args[i].from -= uint32(by)
		p.args[i].to -= uint32(by)
	}
}
