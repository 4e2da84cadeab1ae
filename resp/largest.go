package resp

import "sync/atomic"

// largest is the size in bytes of the largest value that the server has answered, 0 while there was none.
type largest struct{ atomic.Int64 }

func (l *largest) seen(size int) {
	for {
		have := l.Load()
		if int64(size) <= have || l.CompareAndSwap(have, int64(size)) {
			return
		}
	}
}

// readCap is how many value-returning operations a connection's first vector may hold.
func (l *largest) readCap() int {
	size := l.Load()
	if size == 0 {
		return readCapFirst
	}
	return int(min(max(vectorReplies/size, readCapFirst), readCapMost))
}
