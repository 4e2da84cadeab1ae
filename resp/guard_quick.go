package resp

// quick takes a whole command of the usual form at pos: fewer than 10 arguments, each shorter than 1000 bytes, every
// line ended by CR LF. It reports false, and has taken nothing, for anything else: multibulk and argument then read the
// same bytes and find the same command, or what is wrong with it.
func (p *parser) quick() bool {
	b := p.buf
	at := p.pos
	if len(b)-at < 4 || b[at+2] != '\r' || b[at+3] != '\n' {
		return false
	}
	n := int(b[at+1]) - '0'
	if n < 1 || n > 9 {
		return false
	}
	at += 4
	before := len(p.args)
	for range n {
		size, from := quickLength(b, at)
		if from == 0 || len(b)-from < size+2 {
			p.args = p.args[:before]
			return false
		}
		p.args = append(p.args, span{uint32(from), uint32(from + size)})
		at = from + size + 2
	}
	p.ends = append(p.ends, len(p.args))
	p.pos, p.start, p.bulk = at, at, -1
	return true
}

// quickLength reads "$n\r\n" with one to three digits and returns n and where the argument begins, 0 if it is not that.
func quickLength(b []byte, at int) (size, from int) {
	if len(b)-at < 6 || b[at] != '$' {
		return 0, 0
	}
	d := uint(b[at+1]) - '0'
	if d > 9 {
		return 0, 0
	}
	n, first := d, d
	for i := at + 2; i < at+5 && i+1 < len(b); i++ {
		d = uint(b[i]) - '0'
		if d > 9 {
			if b[i] == '\r' && b[i+1] == '\n' && (first != 0 || i == at+2) {
				return int(n), i + 2
			}
			return 0, 0
		}
		n = n*10 + d
	}
	return 0, 0
}
