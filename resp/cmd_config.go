package resp

import "strings"

func configCommands() []*Command {
	const admin = FlagAdmin | FlagNoscript | FlagLoading | FlagStale
	return []*Command{
		{Name: "get", Arity: -3, Flags: admin, Run: runConfigGet},
		{Name: "set", Arity: -4, Flags: admin, Run: runConfigSet},
		{Name: "resetstat", Arity: 2, Flags: admin, Run: func(c *Conn, _ [][]byte, w *Writer) {
			c.Server().ResetStats()
			w.OK()
		}},
	}
}

// runConfigGet answers every parameter that one of the patterns names, each once.
func runConfigGet(c *Conn, args [][]byte, w *Writer) {
	all := parameters(c.Settings(), c.Backend())
	var found []parameter
	for _, p := range all {
		for _, pattern := range args[2:] {
			if globMatch(pattern, p.name) {
				found = append(found, p)
				break
			}
		}
	}
	w.Map(len(found))
	for _, p := range found {
		w.BulkString(p.name)
		w.BulkString(p.value)
	}
}

// runConfigSet changes all of the given parameters or none.
func runConfigSet(c *Conn, args [][]byte, w *Writer) {
	pairs := args[2:]
	if len(pairs)%2 != 0 {
		w.Error(errSyntax)
		return
	}
	all := parameters(c.Settings(), c.Backend())
	var changes []func()
	for i := 0; i < len(pairs); i += 2 {
		name := strings.ToLower(string(clip(pairs[i], maxErrorArg)))
		p, ok := all.find(name)
		if !ok {
			w.Error("ERR Unknown option or number of arguments for CONFIG SET - '" + name + "'")
			return
		}
		if repeated(pairs[:i], name) {
			w.Error(errConfig(name, "duplicate parameter"))
			return
		}
		change, reason := p.change(c.Settings(), string(pairs[i+1]))
		if reason != "" {
			w.Error(errConfig(name, reason))
			return
		}
		changes = append(changes, change)
	}
	for _, change := range changes {
		change()
	}
	w.OK()
}

func errConfig(name, reason string) string {
	return "ERR CONFIG SET failed (possibly related to argument '" + name + "') - " + reason
}

func repeated(pairs [][]byte, name string) bool {
	for i := 0; i < len(pairs); i += 2 {
		if equalFold(pairs[i], name) {
			return true
		}
	}
	return false
}
