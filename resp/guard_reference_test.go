package resp

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
)

// reference is the slow, obvious parser that the guard is compared with. It sees all bytes at once, and starts every
// command by looking at plain strings.
func reference(data string, maxBulk int, noAuth bool) (commands [][]string, errText string) {
	for data != "" {
		var args []string
		var ok bool
		if data[0] == '*' {
			args, data, ok, errText = referenceMultibulk(data, maxBulk, noAuth)
		} else {
			args, data, ok, errText = referenceInline(data)
		}
		if !ok || errText != "" {
			return commands, errText
		}
		if len(args) > 0 {
			commands = append(commands, args)
		}
	}
	return commands, ""
}

var canonicalNumber = regexp.MustCompile(`^(0|-?[1-9][0-9]{0,17})$`)

// referenceNumber reads the line after the first byte of data.
func referenceNumber(data, tooLong, bad string, most int) (n int, rest string, ok bool, errText string) {
	at := strings.IndexByte(data, '\r')
	if at > maxLine || at < 0 && len(data) > maxLine {
		return 0, "", false, tooLong
	}
	if at < 0 || at+2 > len(data) {
		return 0, "", false, ""
	}
	if bad == protoBulkLen && data[0] != '$' {
		return 0, "", false, "expected '$', got '" + data[:1] + "'"
	}
	text := data[1:at]
	n, err := strconv.Atoi(text)
	if err != nil || !canonicalNumber.MatchString(text) || n > most || (bad == protoBulkLen && n < 0) {
		return 0, "", false, bad
	}
	return n, data[at+2:], true, ""
}

func referenceMultibulk(data string, maxBulk int, noAuth bool) (args []string, rest string, ok bool, errText string) {
	n, data, ok, errText := referenceNumber(data, protoMultibulkLine, protoMultibulkLen, maxArgs)
	if !ok {
		return nil, "", false, errText
	}
	if noAuth && n > maxArgsNoAuth {
		return nil, "", false, protoMultibulkNoAut
	}
	for i := 0; i < n; i++ {
		if data == "" {
			return nil, "", false, ""
		}
		size, after, ok, errText := referenceNumber(data, protoBulkLine, protoBulkLen, maxBulk)
		if !ok {
			return nil, "", false, errText
		}
		if noAuth && size > maxBulkNoAuth {
			return nil, "", false, protoBulkNoAuth
		}
		if len(after) < size+2 {
			return nil, "", false, ""
		}
		args = append(args, after[:size])
		data = after[size+2:]
	}
	return args, data, true, ""
}

func referenceInline(data string) (args []string, rest string, ok bool, errText string) {
	at := strings.IndexByte(data, '\n')
	if at > maxLine || at < 0 && len(data) > maxLine {
		return nil, "", false, protoInline
	}
	if at < 0 {
		return nil, "", false, ""
	}
	line, _, _ := strings.Cut(strings.TrimSuffix(data[:at], "\r"), "\x00")
	args, ok = referenceWords(line)
	if !ok {
		return nil, "", false, protoQuotes
	}
	return args, data[at+1:], true, ""
}

var (
	blank        = regexp.MustCompile(`^[ \t\n\v\f\r]+`)
	plainPart    = regexp.MustCompile(`^(?s:[^ \t\n\r"'])+`)
	doubleQuoted = regexp.MustCompile(`^"((?s:\\x[0-9a-fA-F]{2}|\\.|[^"\\])*)"`)
	singleQuoted = regexp.MustCompile(`^'((?s:\\'|[^'])*)'`)
	escape       = regexp.MustCompile(`(?s:\\x[0-9a-fA-F]{2}|\\.)`)
)

// referenceWords splits by regular expressions. Bytes are widened to runes of the same number and back, so that the
// expressions see bytes.
func referenceWords(line string) (args []string, ok bool) {
	line = widen(line)
	for {
		line = line[len(blank.FindString(line)):]
		if line == "" {
			return args, true
		}
		word := plainPart.FindString(line)
		line = line[len(word):]
		if m := doubleQuoted.FindStringSubmatch(line); m != nil {
			word += escape.ReplaceAllStringFunc(m[1], unescapeReference)
			line = line[len(m[0]):]
			if line != "" && !blank.MatchString(line) {
				return nil, false
			}
		} else if m := singleQuoted.FindStringSubmatch(line); m != nil && !badSingle(m[1]) {
			word += strings.ReplaceAll(m[1], `\'`, `'`)
			line = line[len(m[0]):]
			if line != "" && !blank.MatchString(line) {
				return nil, false
			}
		} else if line != "" && (line[0] == '"' || line[0] == '\'') {
			return nil, false
		}
		args = append(args, narrow(word))
	}
}

// badSingle: the expression may back off from \' to end a quote at its apostrophe, which Redis never does.
func badSingle(body string) bool { return strings.HasSuffix(body, `\`) }

func unescapeReference(e string) string {
	if len(e) == 4 && e[1] == 'x' {
		n, _ := strconv.ParseUint(e[2:], 16, 8)
		return string(rune(n))
	}
	e = e[1:]
	for i, ch := range []string{"n", "r", "t", "b", "a"} {
		if e == ch {
			return []string{"\n", "\r", "\t", "\b", "\a"}[i]
		}
	}
	return e
}

func widen(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		b.WriteRune(rune(s[i]))
	}
	return b.String()
}

func narrow(s string) string {
	var b bytes.Buffer
	for _, r := range s {
		b.WriteByte(byte(r))
	}
	return b.String()
}
