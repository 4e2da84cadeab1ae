package resp

// inline reads a request typed by hand: words up to a line feed, with Redis's quoting. An empty line is no command.
func (p *parser) inline() bool {
	at, ok, long := p.line('\n')
	if long {
		p.err = protoInline
	}
	if !ok {
		return false
	}
	end := at
	if end > p.pos && p.buf[end-1] == '\r' {
		end--
	}
	before := len(p.args)
	if !p.splitWords(p.pos, end) {
		p.args = p.args[:before]
		p.err = protoQuotes
		return false
	}
	p.pos = at + 1
	p.start = p.pos
	if len(p.args) > before {
		p.ends = append(p.ends, len(p.args))
	}
	return true
}

// splitWords takes the words of buf[i:end] as arguments. Quoted words shrink when their escapes are resolved, so they
// are rewritten where they stand. A zero byte ends the line, as in Redis, where it ends the string.
func (p *parser) splitWords(i, end int) bool {
	for {
		for i < end && isSpace(p.buf[i]) {
			i++
		}
		if i == end || p.buf[i] == 0 {
			return true
		}
		from, to := i, i // the word is rewritten to buf[from:to] while i reads ahead
		for i < end && !endsWord(p.buf[i]) {
			var ok bool
			switch ch := p.buf[i]; ch {
			case '"':
				i, to, ok = p.doubleQuoted(i+1, to, end)
			case '\'':
				i, to, ok = p.singleQuoted(i+1, to, end)
			default:
				p.buf[to] = ch
				i, to = i+1, to+1
				continue
			}
			if !ok {
				return false
			}
			break // a closing quote ends the word; what follows was checked to be blank
		}
		p.args = append(p.args, span{uint32(from), uint32(to)})
	}
}

// doubleQuoted resolves "..." from i on: \xHH, \n \r \t \b \a, and \ before anything else. It returns where the word
// goes on and where it has been written to.
func (p *parser) doubleQuoted(i, to, end int) (int, int, bool) {
	b := p.buf
	for ; i < end && b[i] != 0; i, to = i+1, to+1 {
		switch {
		case b[i] == '\\' && i+3 < end && b[i+1] == 'x' && isHex(b[i+2]) && isHex(b[i+3]):
			b[to] = hexDigit(b[i+2])<<4 | hexDigit(b[i+3])
			i += 3
		case b[i] == '\\' && i+1 < end && b[i+1] != 0:
			i++
			b[to] = unescape(b[i])
		case b[i] == '"':
			return i + 1, to, i+1 == end || b[i+1] == 0 || isSpace(b[i+1])
		default:
			b[to] = b[i]
		}
	}
	return i, to, false
}

// singleQuoted resolves '...' from i on; only \' is an escape.
func (p *parser) singleQuoted(i, to, end int) (int, int, bool) {
	b := p.buf
	for ; i < end && b[i] != 0; i, to = i+1, to+1 {
		switch {
		case b[i] == '\\' && i+1 < end && b[i+1] == '\'':
			i++
			b[to] = '\''
		case b[i] == '\'':
			return i + 1, to, i+1 == end || b[i+1] == 0 || isSpace(b[i+1])
		default:
			b[to] = b[i]
		}
	}
	return i, to, false
}

func unescape(ch byte) byte {
	switch ch {
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'b':
		return '\b'
	case 'a':
		return '\a'
	}
	return ch
}

// isSpace is C's isspace.
func isSpace(ch byte) bool { return ch == ' ' || '\t' <= ch && ch <= '\r' }

// endsWord names what ends a word outside quotes: fewer bytes than isSpace.
func endsWord(ch byte) bool {
	return ch == ' ' || ch == '\n' || ch == '\r' || ch == '\t' || ch == 0
}

func isHex(ch byte) bool {
	return '0' <= ch && ch <= '9' || 'a' <= ch && ch <= 'f' || 'A' <= ch && ch <= 'F'
}

func hexDigit(ch byte) byte {
	switch {
	case ch >= 'a':
		return ch - 'a' + 10
	case ch >= 'A':
		return ch - 'A' + 10
	}
	return ch - '0'
}
