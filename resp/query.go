package resp

import "sync"

// query is the memory that a connection reads and frames requests in. Connections that have nothing to do own none.
type query struct {
	buf   []byte
	spans []span
	ends  []int
	args  [][]byte
}

// queryShelves hold spare ones by the size of their buffer: queryFirst, four times that, and queryUsual.
var queryShelves [3]sync.Pool

// spareArgs is the most arguments whose lists are kept for the next batch.
const spareArgs = batchArgs

// shelf is the place of buffers of a size, nil when they are not kept.
func shelf(size int) *sync.Pool {
	switch size {
	case queryFirst:
		return &queryShelves[0]
	case 4 * queryFirst:
		return &queryShelves[1]
	case queryUsual:
		return &queryShelves[2]
	}
	return nil
}

// acquire gives the parser memory if it has none.
func (g *guard) acquire() {
	p := &g.parser
	if p.buf != nil {
		return
	}
	var q *query
	if at := shelf(g.size); at != nil { // after a large command the size may be any
		q, _ = at.Get().(*query)
	}
	if q == nil {
		q = &query{buf: make([]byte, 0, g.size)}
	}
	p.mem = q
	p.buf, p.args, p.ends, g.args = q.buf, q.spans, q.ends, q.args
}

// vacant reports whether nothing is in the buffer: no command that runs, and none that is begun.
func (p *parser) vacant() bool { return p.start == len(p.buf) && len(p.ends) == 0 && p.left == 0 }

// queryBytes is what the parser's memory takes.
func (g *guard) queryBytes() int {
	const spanBytes, argBytes = 8, 24
	return cap(g.parser.buf) + spanBytes*cap(g.parser.args) + argBytes*cap(g.args)
}

// release gives the parser's memory back, which must be vacant.
func (g *guard) release() {
	p := &g.parser
	q := p.mem
	if at := shelf(cap(p.buf)); at != nil && cap(p.args) <= spareArgs && cap(g.args) <= spareArgs {
		q.buf, q.spans, q.ends, q.args = p.buf[:0], p.args[:0], p.ends[:0], g.args[:0]
		at.Put(q)
	}
	p.mem, p.buf, p.args, p.ends, g.args = nil, nil, nil, nil, nil
	p.pos, p.scan, p.start = 0, 0, 0
	g.conn.held.query = 0
	g.conn.settle()
}
