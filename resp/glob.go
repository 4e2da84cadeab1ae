package resp

// globMatch reports whether a name fits a pattern as Redis matches them, in any case: * any run, ? one byte, [abc],
// [^a] and [a-z] one of a class, \ takes the next byte literally. It works without recursion and in time
// len(pattern)*len(name), whatever a client sends.
func globMatch(pattern []byte, name string) bool {
	p, n := 0, 0
	star, mark := -1, 0 // where to go on when the text after the last * fails to fit
	for n < len(name) {
		if p < len(pattern) && pattern[p] == '*' {
			star, mark = p, n
			p++
			continue
		}
		if p < len(pattern) {
			if width, ok := globByte(pattern[p:], lower(name[n])); ok {
				p += width
				n++
				continue
			}
		}
		if star < 0 {
			return false
		}
		mark++
		p, n = star+1, mark
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// globByte matches one byte against the pattern's next element and returns the element's width.
func globByte(pattern []byte, ch byte) (width int, ok bool) {
	switch pattern[0] {
	case '?':
		return 1, true
	case '[':
		return globClass(pattern, ch)
	case '\\':
		if len(pattern) > 1 {
			return 2, lower(pattern[1]) == ch
		}
	}
	return 1, lower(pattern[0]) == ch
}

// globClass matches a [class]; one that is never closed reaches to the end of the pattern.
func globClass(pattern []byte, ch byte) (width int, ok bool) {
	i := 1
	negated := i < len(pattern) && pattern[i] == '^'
	if negated {
		i++
	}
	found := false
	for ; i < len(pattern) && pattern[i] != ']'; i++ {
		if pattern[i] == '\\' && i+1 < len(pattern) {
			i++
		}
		first, last := lower(pattern[i]), lower(pattern[i])
		if i+2 < len(pattern) && pattern[i+1] == '-' && pattern[i+2] != ']' {
			last = lower(pattern[i+2])
			i += 2
		}
		if first > last {
			first, last = last, first
		}
		found = found || first <= ch && ch <= last
	}
	return min(i+1, len(pattern)), found != negated
}

func lower(ch byte) byte {
	if 'A' <= ch && ch <= 'Z' {
		return ch + 'a' - 'A'
	}
	return ch
}
