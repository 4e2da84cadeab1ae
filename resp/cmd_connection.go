package resp

import "crypto/subtle"

func connectionCommands() []*Command {
	const early = FlagNoscript | FlagLoading | FlagStale | FlagFast | FlagNoAuth | FlagAllowBusy
	const always = FlagLoading | FlagStale | FlagFast
	return []*Command{
		{Name: "ping", Arity: -1, Flags: FlagFast, Run: runPing},
		{Name: "echo", Arity: 2, Flags: always, Run: runEcho},
		{Name: "quit", Arity: -1, Flags: early, Run: runQuit},
		{Name: "reset", Arity: 1, Flags: early, Run: runReset},
		{Name: "select", Arity: 2, Flags: always, Run: runSelect},
		{Name: "auth", Arity: -2, Flags: early, Run: runAuth},
		{Name: "hello", Arity: -1, Flags: early, Run: runHello},
		{Name: "client", Arity: -2, Subcommands: clientCommands()},
		{Name: "readonly", Arity: 1, Flags: always, Run: func(c *Conn, _ [][]byte, w *Writer) {
			c.SetReadOnly(true)
			w.OK()
		}},
		{Name: "readwrite", Arity: 1, Flags: always, Run: func(c *Conn, _ [][]byte, w *Writer) {
			c.SetReadOnly(false)
			w.OK()
		}},
		{Name: "asking", Arity: 1, Flags: FlagFast, Run: func(c *Conn, _ [][]byte, w *Writer) {
			c.State().Asking = true
			w.OK()
		}},
	}
}

func runPing(_ *Conn, args [][]byte, w *Writer) {
	switch len(args) {
	case 1:
		w.Simple("PONG")
	case 2:
		w.Bulk(args[1])
	default:
		w.Error(errArity("ping"))
	}
}

func runEcho(_ *Conn, args [][]byte, w *Writer) { w.Bulk(args[1]) }

func runQuit(c *Conn, _ [][]byte, w *Writer) {
	w.OK()
	c.CloseAfterReply()
}

func runReset(c *Conn, _ [][]byte, w *Writer) {
	c.Reset()
	w.Simple("RESET")
}

func runSelect(_ *Conn, args [][]byte, w *Writer) {
	db, ok := parseInt(args[1])
	switch {
	case !ok:
		w.Error(errNotInteger)
	case db != 0:
		w.Error(errSelect)
	default:
		w.OK()
	}
}

func runAuth(c *Conn, args [][]byte, w *Writer) {
	user, password := []byte("default"), args[1]
	switch {
	case len(args) > 3:
		w.Error(errSyntax)
		return
	case len(args) == 3:
		user, password = args[1], args[2]
	case c.Settings().Password() == "":
		w.Error(errNoPassword)
		return
	}
	if !authenticate(c, user, password) {
		w.Error(errWrongPass)
		return
	}
	w.OK()
}

// authenticate lets the connection in when the password is right. There is one user, "default"; without a password it
// accepts any, as in Redis. A wrong password leaves the connection as it was.
func authenticate(c *Conn, user, password []byte) bool {
	want := c.Settings().Password()
	right := want == "" || subtle.ConstantTimeCompare(password, []byte(want)) == 1
	if string(user) != "default" || !right {
		c.State().AuthFailures++
		return false
	}
	c.SetAuthenticated(true)
	return true
}

// helloOptions are the options of HELLO after the protocol version.
type helloOptions struct {
	proto          int // 0: as it is
	auth, setName  bool
	user, password []byte
	name           []byte
}

func parseHello(args [][]byte) (o helloOptions, errText string) {
	if len(args) == 1 {
		return o, ""
	}
	version, ok := parseInt(args[1])
	if !ok {
		return o, errBadProto
	}
	if version < 2 || version > 3 {
		return o, errNoProto
	}
	o.proto = int(version)
	for i := 2; i < len(args); i++ {
		more := len(args) - 1 - i
		switch {
		case equalFold(args[i], "auth") && more >= 2:
			o.auth, o.user, o.password = true, args[i+1], args[i+2]
			i += 2
		case equalFold(args[i], "setname") && more >= 1:
			o.name, o.setName = args[i+1], true
			i++
		default:
			return o, "ERR Syntax error in HELLO option '" + string(clip(args[i], maxErrorArg)) + "'"
		}
	}
	if o.setName && !plainText(o.name) {
		return o, errClientName
	}
	return o, ""
}

func runHello(c *Conn, args [][]byte, w *Writer) {
	o, errText := parseHello(args)
	switch {
	case errText != "":
		w.Error(errText)
		return
	case o.auth && !authenticate(c, o.user, o.password):
		w.Error(errWrongPass)
		return
	case !c.Authenticated():
		w.Error(errHelloNoAuth)
		return
	}
	if o.setName {
		c.SetName(string(o.name))
	}
	if o.proto != 0 {
		c.SetProto(o.proto)
	}
	w.Map(7)
	w.BulkString("server")
	w.BulkString("redis")
	w.BulkString("version")
	w.BulkString(RedisVersion)
	w.BulkString("proto")
	w.Int(int64(c.Proto()))
	w.BulkString("id")
	w.Int(c.ID())
	w.BulkString("mode")
	w.BulkString("cluster")
	w.BulkString("role")
	w.BulkString("master")
	w.BulkString("modules")
	w.Array(0)
}

// plainText reports whether a client's name has only characters that do not break CLIENT LIST.
func plainText(name []byte) bool {
	for _, ch := range name {
		if ch < '!' || ch > '~' {
			return false
		}
	}
	return true
}
