package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// entry is one key of the data set with its value in round 1.
type entry struct {
	key  string
	text string
}

// value is what a key is set to in a round: the text itself in round 1, then the text behind the round's number.
func (e entry) value(round int) string {
	if round == 1 {
		return e.text
	}
	return fmt.Sprintf("round %d %s", round, e.text)
}

// keys turns Debian's package index (in) into a data set. The file holds plain SET commands, so that the same bytes
// can go into redis-cli --pipe.
func keys(in io.Reader, out io.Writer, file string, least int) error {
	entries, packages, err := parseIndex(in)
	if err != nil {
		return err
	}
	if len(entries) < least {
		return fmt.Errorf("the package index gives %d keys of %d packages; a data set needs %d (is the index complete? try apt-get update)",
			len(entries), packages, least)
	}
	if err := os.WriteFile(file, encode(entries), 0o666); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%d\n", len(entries))
	return err
}

// parseIndex makes two keys of each package: its description, and what it depends on (Depends and Pre-Depends; a
// package without either gives one key only). Of a package that is listed more than once the first counts.
func parseIndex(in io.Reader) (entries []entry, packages int, err error) {
	var (
		seen              = map[string]bool{}
		name, description string
		depends           []string
		field             string
	)
	finish := func() {
		if name != "" && !seen[name] {
			seen[name] = true
			if description != "" {
				entries = append(entries, entry{"package:" + name + ":description", description})
			}
			if len(depends) > 0 {
				entries = append(entries, entry{"package:" + name + ":depends", strings.Join(depends, ", ")})
			}
		}
		name, description, depends, field = "", "", nil, ""
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		line := lines.Text()
		switch {
		case line == "":
			finish()
			continue
		case line[0] == ' ' && field == "Description":
			description += "\n" + line
			continue
		case line[0] == ' ':
			continue
		}
		var text string
		field, text, _ = strings.Cut(line, ": ")
		if strings.HasPrefix(field, "Description-") && field != "Description-md5" {
			field = "Description" // Description-en and its like
		}
		switch field {
		case "Package":
			name = text
		case "Description":
			description = text
		case "Depends", "Pre-Depends":
			depends = append(depends, text)
		}
	}
	finish()
	return entries, len(seen), lines.Err()
}

// encode writes the entries as SET commands of RESP.
func encode(entries []entry) []byte {
	var b bytes.Buffer
	for _, e := range entries {
		fmt.Fprintf(&b, "*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(e.key), e.key, len(e.text), e.text)
	}
	return b.Bytes()
}

// readData reads a data set back.
func readData(file string) ([]entry, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var entries []entry
	for r := bufio.NewReaderSize(f, 1<<20); ; {
		command, err := readCommand(r)
		if err == io.EOF {
			return entries, nil
		}
		if err != nil || len(command) != 3 || command[0] != "SET" {
			return nil, fmt.Errorf("%s: no data set at key %d: %v", file, len(entries), err)
		}
		entries = append(entries, entry{command[1], command[2]})
	}
}

// readCommand reads one command of RESP; io.EOF means that there is none left.
func readCommand(r *bufio.Reader) ([]string, error) {
	n, err := readLength(r, '*', 3)
	if err != nil {
		return nil, err
	}
	words := make([]string, n)
	for i := range words {
		size, err := readLength(r, '$', 4<<20)
		if err != nil {
			return nil, fmt.Errorf("broken off: %w", err)
		}
		word := make([]byte, size+len("\r\n"))
		if _, err := io.ReadFull(r, word); err != nil {
			return nil, fmt.Errorf("broken off: %w", err)
		}
		words[i] = string(word[:size])
	}
	return words, nil
}

// readLength reads a line that is the mark and a number from 0 to most.
func readLength(r *bufio.Reader, mark byte, most int) (int, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimSuffix(line[1:], "\r\n"))
	if err != nil || line[0] != mark || n < 0 || n > most {
		return 0, fmt.Errorf("bad length %q", line)
	}
	return n, nil
}
