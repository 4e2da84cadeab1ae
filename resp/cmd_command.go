package resp

func commandCommands() []*Command {
	const open = FlagLoading | FlagStale
	return []*Command{
		{Name: "count", Arity: 2, Flags: open, Run: func(c *Conn, _ [][]byte, w *Writer) {
			w.Int(int64(len(c.Server().Commands().All())))
		}},
		{Name: "docs", Arity: -2, Flags: open, Run: runCommandDocs},
		{Name: "getkeys", Arity: -4, Flags: open, Run: runCommandGetKeys},
		{Name: "info", Arity: -2, Flags: open, Run: runCommandInfo},
		{Name: "list", Arity: -2, Flags: open, Run: runCommandList},
	}
}

// runCommand answers COMMAND without a subcommand.
func runCommand(c *Conn, args [][]byte, w *Writer) {
	if len(args) > 1 {
		w.Error(errUnknownSubcommand("command", args[1]))
		return
	}
	writeCommandInfos(w, c.Server().Commands().All())
}

func runCommandInfo(c *Conn, args [][]byte, w *Writer) {
	t := c.Server().Commands()
	if len(args) == 2 {
		writeCommandInfos(w, t.All())
		return
	}
	w.Array(len(args) - 2)
	for _, name := range args[2:] {
		if cmd := t.find(name); cmd != nil {
			writeCommandInfo(w, cmd)
		} else {
			w.Null()
		}
	}
}

func runCommandDocs(c *Conn, args [][]byte, w *Writer) {
	t := c.Server().Commands()
	found := t.All()
	if len(args) > 2 {
		found = nil
		for _, name := range args[2:] {
			if cmd := t.find(name); cmd != nil {
				found = append(found, cmd)
			}
		}
	}
	writeCommandDocs(w, found)
}

// runCommandGetKeys answers the keys of a full command, and what is wrong with it in Redis's order.
func runCommandGetKeys(c *Conn, args [][]byte, w *Writer) {
	call := args[2:]
	cmd := c.Server().Commands().Lookup(call[0])
	if cmd != nil && len(cmd.Subcommands) > 0 && len(call) > 1 {
		cmd = cmd.Subcommand(call[1])
	}
	switch {
	case cmd == nil:
		w.Error(errInvalidCommand)
		return
	case cmd.FirstKey == 0:
		w.Error(errNoKeys)
		return
	case !cmd.arityOK(len(call)):
		w.Error(errKeysArity)
		return
	}
	keys := cmd.keysOf(call)
	w.Array(len(keys))
	for _, key := range keys {
		w.Bulk(key)
	}
}

// runCommandList answers COMMAND LIST [FILTERBY MODULE name | ACLCAT category | PATTERN pattern]. Without a filter it
// names no subcommands.
func runCommandList(c *Conn, args [][]byte, w *Writer) {
	all := c.Server().Commands().All()
	if len(args) == 2 {
		writeNames(w, all)
		return
	}
	if len(args) != 5 || !equalFold(args[2], "filterby") {
		w.Error(errSyntax)
		return
	}
	var fits func(cmd *Command) bool
	switch {
	case equalFold(args[3], "module"):
		fits = func(*Command) bool { return false }
	case equalFold(args[3], "aclcat"):
		fits = func(cmd *Command) bool { return cmd.inCategory(args[4]) }
	case equalFold(args[3], "pattern"):
		fits = func(cmd *Command) bool { return globMatch(args[4], cmd.FullName()) }
	default:
		w.Error(errSyntax)
		return
	}
	var found []*Command
	for _, cmd := range withSubcommands(all) {
		if fits(cmd) {
			found = append(found, cmd)
		}
	}
	writeNames(w, found)
}

func (c *Command) inCategory(name []byte) bool {
	for _, category := range c.Categories {
		if equalFold(name, category) {
			return true
		}
	}
	return false
}

func withSubcommands(commands []*Command) []*Command {
	var all []*Command
	for _, c := range commands {
		all = append(append(all, c), c.Subcommands...)
	}
	return all
}

func writeNames(w *Writer, commands []*Command) {
	w.Array(len(commands))
	for _, c := range commands {
		w.BulkString(c.FullName())
	}
}

// find finds a command or, as "config|get", a subcommand.
func (t *Table) find(name []byte) *Command {
	for i, ch := range name {
		if ch == '|' {
			if parent := t.Lookup(name[:i]); parent != nil {
				return parent.Subcommand(name[i+1:])
			}
			return nil
		}
	}
	return t.Lookup(name)
}
