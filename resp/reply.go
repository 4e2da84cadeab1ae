package resp

import (
	"math"
	"strconv"
	"sync"
)

// Writer writes replies in the connection's RESP version. It gathers up to flushAt bytes and then hands them to the
// connection; a connection that does not take them makes the writer wait, and so the batch that writes. After a write
// error everything is dropped and Err says why.
type Writer struct {
	buf    []byte
	sink   func([]byte) error // nil: gather without limit (tests)
	proto  int                // 2 or 3; anything but 3 means 2
	err    error
	errors int // error replies written
}

const (
	flushAt    = 64 << 10 // bytes gathered before a flush
	directFrom = 16 << 10 // bulk strings of this size are handed over without being copied
)

// Proto is the RESP version that is written, 2 or 3.
func (w *Writer) Proto() int {
	if w.proto == 3 {
		return 3
	}
	return 2
}

// Err is the error of the connection, if writing failed.
func (w *Writer) Err() error { return w.err }

// Simple writes "+s".
func (w *Writer) Simple(s string) {
	w.buf = append(w.buf, '+')
	w.line(s)
}

// OK writes "+OK".
func (w *Writer) OK() {
	w.buf = append(w.buf, "+OK\r\n"...)
	w.grown()
}

// Error writes "-text". The text starts with its prefix, as in "ERR syntax error"; line ends in it become spaces.
func (w *Writer) Error(text string) {
	w.errors++
	w.buf = append(w.buf, '-')
	for i := 0; i < len(text); i++ {
		ch := text[i]
		if ch == '\r' || ch == '\n' {
			ch = ' '
		}
		w.buf = append(w.buf, ch)
	}
	w.line("")
}

// Int writes ":n".
func (w *Writer) Int(n int64) { w.header(':', n) }

// Bulk writes a string of any bytes. b is not kept.
func (w *Writer) Bulk(b []byte) {
	if len(b) < 1000 { // the usual one, in one go
		w.buf = append(append(appendSize(w.buf, '$', len(b)), b...), '\r', '\n')
		w.grown()
		return
	}
	w.header('$', int64(len(b)))
	if len(b) >= directFrom && w.sink != nil {
		w.Flush()
		w.hand(b)
	} else {
		w.buf = append(w.buf, b...)
	}
	w.line("")
}

// BulkString is Bulk for a Go string.
func (w *Writer) BulkString(s string) {
	w.header('$', int64(len(s)))
	w.line(s)
}

// Null writes the null: "$-1" in RESP2, "_" in RESP3.
func (w *Writer) Null() {
	if w.proto == 3 {
		w.line("_")
		return
	}
	w.line("$-1")
}

// NullArray writes the null of an array: "*-1" in RESP2, "_" in RESP3.
func (w *Writer) NullArray() {
	if w.proto == 3 {
		w.line("_")
		return
	}
	w.line("*-1")
}

// Array starts an array; n replies must follow.
func (w *Writer) Array(n int) { w.header('*', int64(n)) }

// Map starts a map of n pairs; 2n replies must follow. In RESP2 it is a flat array.
func (w *Writer) Map(n int) {
	if w.proto == 3 {
		w.header('%', int64(n))
		return
	}
	w.header('*', int64(2*n))
}

// Set starts a set; n replies must follow. In RESP2 it is an array.
func (w *Writer) Set(n int) { w.aggregate('~', n) }

// Push starts an out-of-band message; n replies must follow. In RESP2 it is an array.
func (w *Writer) Push(n int) { w.aggregate('>', n) }

// Bool writes "#t" or "#f", in RESP2 ":1" or ":0".
func (w *Writer) Bool(b bool) {
	switch {
	case w.proto == 3 && b:
		w.line("#t")
	case w.proto == 3:
		w.line("#f")
	case b:
		w.line(":1")
	default:
		w.line(":0")
	}
}

// Double writes ",f", in RESP2 a bulk string, with 17 significant digits as Redis does.
func (w *Writer) Double(f float64) {
	var tmp [32]byte
	text := appendDouble(tmp[:0], f)
	if w.proto == 3 {
		w.buf = append(w.buf, ',')
	} else {
		w.header('$', int64(len(text)))
	}
	w.buf = append(w.buf, text...)
	w.line("")
}

// Verbatim writes text with a three-letter format ("txt", "mkd"), in RESP2 a bulk string.
func (w *Writer) Verbatim(format, text string) {
	if w.proto != 3 {
		w.BulkString(text)
		return
	}
	w.header('=', int64(len(text)+4))
	w.buf = append(w.buf, format...)
	w.buf = append(w.buf, ':')
	w.line(text)
}

// Flush hands over what is gathered.
func (w *Writer) Flush() {
	if w.sink == nil {
		return
	}
	if len(w.buf) > 0 {
		w.hand(w.buf)
	}
	w.buf = w.buf[:0]
}

func (w *Writer) hand(b []byte) {
	if w.err == nil {
		w.err = w.sink(b)
	}
}

func (w *Writer) aggregate(kind byte, n int) {
	if w.proto != 3 {
		kind = '*'
	}
	w.header(kind, int64(n))
}

// appendSize writes the line of a length below 1000.
func appendSize(buf []byte, kind byte, n int) []byte {
	switch {
	case n < 10:
		return append(buf, kind, byte('0'+n), '\r', '\n')
	case n < 100:
		return append(buf, kind, byte('0'+n/10), byte('0'+n%10), '\r', '\n')
	}
	return append(buf, kind, byte('0'+n/100), byte('0'+n/10%10), byte('0'+n%10), '\r', '\n')
}

func (w *Writer) header(kind byte, n int64) {
	if 0 <= n && n < 1000 {
		w.buf = appendSize(w.buf, kind, int(n))
		w.grown()
		return
	}
	w.buf = append(w.buf, kind)
	w.buf = strconv.AppendInt(w.buf, n, 10)
	w.buf = append(w.buf, '\r', '\n')
	w.grown()
}

func (w *Writer) line(s string) {
	w.buf = append(w.buf, s...)
	w.buf = append(w.buf, '\r', '\n')
	w.grown()
}

func (w *Writer) grown() {
	if len(w.buf) >= flushAt {
		w.Flush()
	}
}

func appendDouble(b []byte, f float64) []byte {
	switch {
	case math.IsInf(f, 1):
		return append(b, "inf"...)
	case math.IsInf(f, -1):
		return append(b, "-inf"...)
	case math.IsNaN(f):
		return append(b, "nan"...)
	}
	return strconv.AppendFloat(b, f, 'g', 17, 64)
}

// replyBuffers holds the buffers of writers between batches, so that an idle connection owns none.
var replyBuffers = sync.Pool{New: func() any {
	b := make([]byte, 0, flushAt+directFrom+4096)
	return &b
}}
