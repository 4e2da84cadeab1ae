package resp

func writeCommandInfos(w *Writer, commands []*Command) {
	w.Array(len(commands))
	for _, c := range commands {
		writeCommandInfo(w, c)
	}
}

// writeCommandInfo writes the ten elements with which COMMAND describes a command: name, arity, flags, first key, last
// key, step, ACL categories, tips, key specifications, subcommands.
func writeCommandInfo(w *Writer, c *Command) {
	d := docs[c.FullName()]
	w.Array(10)
	w.BulkString(c.FullName())
	w.Int(int64(c.Arity))
	writeWords(w, "", c.flagList())
	w.Int(int64(c.FirstKey))
	w.Int(int64(c.LastKey))
	w.Int(int64(c.KeyStep))
	writeWords(w, "@", c.Categories)
	w.Set(len(d.tips))
	for _, tip := range d.tips {
		w.BulkString(tip)
	}
	writeKeySpecs(w, c, d)
	if len(c.Subcommands) == 0 {
		w.Set(0)
		return
	}
	writeCommandInfos(w, c.Subcommands)
}

func writeWords(w *Writer, prefix string, words []string) {
	w.Set(len(words))
	for _, word := range words {
		w.Simple(prefix + word)
	}
}

// writeKeySpecs writes where the keys are: from FirstKey on, to a last one given relative to the first, or to the end.
func writeKeySpecs(w *Writer, c *Command, d doc) {
	if c.FirstKey == 0 {
		w.Set(0)
		return
	}
	last := c.LastKey
	if last > 0 {
		last -= c.FirstKey
	}
	w.Set(1)
	w.Map(3)
	w.BulkString("flags")
	writeWords(w, "", d.keyFlags)
	w.BulkString("begin_search")
	w.Map(2)
	w.BulkString("type")
	w.BulkString("index")
	w.BulkString("spec")
	w.Map(1)
	writeNumber(w, "index", c.FirstKey)
	w.BulkString("find_keys")
	w.Map(2)
	w.BulkString("type")
	w.BulkString("range")
	w.BulkString("spec")
	w.Map(3)
	writeNumber(w, "lastkey", last)
	writeNumber(w, "keystep", c.KeyStep)
	writeNumber(w, "limit", 0)
}

func writeNumber(w *Writer, name string, n int) {
	w.BulkString(name)
	w.Int(int64(n))
}

func writeText(w *Writer, name, value string) {
	w.BulkString(name)
	w.BulkString(value)
}

// writeCommandDocs writes a map from full name to documentation.
func writeCommandDocs(w *Writer, commands []*Command) {
	w.Map(len(commands))
	for _, c := range commands {
		w.BulkString(c.FullName())
		writeCommandDoc(w, c)
	}
}

func writeCommandDoc(w *Writer, c *Command) {
	args := docs[c.FullName()].args
	n := 4
	if len(args) > 0 {
		n++
	}
	if len(c.Subcommands) > 0 {
		n++
	}
	w.Map(n)
	writeText(w, "summary", c.Summary)
	writeText(w, "since", c.Since)
	writeText(w, "group", c.Group)
	writeText(w, "complexity", c.Complexity)
	if len(args) > 0 {
		writeArguments(w, args)
	}
	if len(c.Subcommands) > 0 {
		w.BulkString("subcommands")
		writeCommandDocs(w, c.Subcommands)
	}
}

func writeArguments(w *Writer, args []argument) {
	w.BulkString("arguments")
	w.Array(len(args))
	for _, a := range args {
		writeArgument(w, a)
	}
}

func writeArgument(w *Writer, a argument) {
	n := 2
	for _, has := range []bool{a.kind == "key", a.token != "", len(a.flags) > 0, len(a.args) > 0} {
		if has {
			n++
		}
	}
	w.Map(n)
	writeText(w, "name", a.name)
	writeText(w, "type", a.kind)
	if a.kind == "key" {
		writeNumber(w, "key_spec_index", 0)
	}
	if a.token != "" {
		writeText(w, "token", a.token)
	}
	if len(a.flags) > 0 {
		w.BulkString("flags")
		writeWords(w, "", a.flags)
	}
	if len(a.args) > 0 {
		writeArguments(w, a.args)
	}
}
