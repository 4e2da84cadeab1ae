package resp

import (
	"sync/atomic"

	"shoal/wire"
)

// Flags say what a command is like. They steer dispatch and are shown by COMMAND INFO.
type Flags uint32

// The flags. FlagLoading and FlagNoAuth open a command before the node has its map and before AUTH.
const (
	FlagWrite          Flags = 1 << iota // may change data
	FlagReadonly                         // reads keys, changes nothing
	FlagDenyOOM                          // refused when memory is full
	FlagAdmin                            // for operators
	FlagPubsub                           // publish/subscribe
	FlagNoscript                         // not from scripts
	FlagBlocking                         // may wait
	FlagLoading                          // allowed until the node has its map
	FlagStale                            // allowed on a stale replica (shown only)
	FlagFast                             // O(1) or O(log n)
	FlagNoAuth                           // allowed before AUTH
	FlagMovableKeys                      // key positions are not given by FirstKey, LastKey, KeyStep
	FlagNoMulti                          // not inside MULTI
	FlagAllowBusy                        // allowed while a script runs (shown only)
	FlagNoAsyncLoading                   // shown only
	FlagSkipMonitor                      // shown only
	FlagSkipSlowlog                      // shown only
)

// Reply writes the answer of a planned command from the results of its operations: ops[i] was answered by res[i]. It
// must write exactly one reply. The slices and everything they point to are valid during the call only.
type Reply func(w *Writer, ops []wire.Op, res []wire.Result)

// Command is one row of the command table. Exactly one of Plan and Run is set, except for a container of subcommands,
// which may have neither (then a call without a known subcommand is refused).
type Command struct {
	Name        string // lower case; of a subcommand only its own part, "get" of CONFIG GET
	Arity       int    // Redis's: number of arguments with the name (and the subcommand's); negative: at least
	Flags       Flags
	FirstKey    int // index into the arguments, 0: no key
	LastKey     int // negative counts from the end
	KeyStep     int
	Subcommands []*Command

	Summary    string
	Since      string
	Group      string
	Complexity string
	Categories []string // ACL categories without the '@'

	// Plan is set for data commands. It appends the command's operations with v.Add and returns how to reply from
	// their results, or the error text to answer ("ERR syntax error", no dash) instead; what was added before an
	// error is dropped. A command may add no operation and still return a Reply (then ops and res are empty).
	// args[0] is the command's name as sent. The byte slices of args stay valid until the replies of the batch are
	// written, so operations may point into them; Reply functions may capture them.
	Plan func(c *Conn, args [][]byte, v *Vector) (reply Reply, errText string)

	// Run is set for everything that needs the connection or the server. It runs at its place between vectors, alone,
	// and writes exactly one reply. args is valid during the call only: copy what is kept.
	Run func(c *Conn, args [][]byte, w *Writer)

	// waits says of a fast command that Run may wait all the same, for instance for the Backend.
	waits bool

	parent *Command // set by NewTable
	full   string   // "config|get", set by NewTable
	stats  CommandStats
}

// FullName is "config|get" for a subcommand and the name for others.
func (c *Command) FullName() string {
	if c.full == "" {
		return c.Name
	}
	return c.full
}

// Parent is the container a subcommand belongs to, or nil.
func (c *Command) Parent() *Command { return c.parent }

// Has reports whether all of the given flags are set.
func (c *Command) Has(f Flags) bool { return c.Flags&f == f }

// Table is an immutable command table with case-insensitive lookup.
type Table struct {
	byName map[string]*Command
	list   []*Command
}

// maxNameLen bounds the names that Lookup folds to lower case on the stack.
const maxNameLen = 32

// NewTable indexes the commands. Names must be lower case, unique and at most 32 bytes long; it panics otherwise,
// because a table is written by a programmer, not by a client.
func NewTable(commands []*Command) *Table {
	t := &Table{byName: make(map[string]*Command, len(commands)), list: commands}
	for _, c := range commands {
		if c.Name == "" || len(c.Name) > maxNameLen || t.byName[c.Name] != nil {
			panic("resp: bad or repeated command name " + c.Name)
		}
		c.full = c.Name
		t.byName[c.Name] = c
		for _, sub := range c.Subcommands {
			sub.parent = c
			sub.full = c.Name + "|" + sub.Name
		}
	}
	return t
}

// Lookup finds a command by name in any case, or nil. It allocates nothing.
func (t *Table) Lookup(name []byte) *Command {
	var folded [maxNameLen]byte
	if len(name) > maxNameLen {
		return nil
	}
	n := copy(folded[:], name)
	lowerASCII(folded[:n])
	return t.byName[string(folded[:n])]
}

// Subcommand finds a subcommand by name in any case, or nil.
func (c *Command) Subcommand(name []byte) *Command {
	for _, sub := range c.Subcommands {
		if equalFold(name, sub.Name) {
			return sub
		}
	}
	return nil
}

// All lists the commands in the order given to NewTable. The slice is shared: do not change it.
func (t *Table) All() []*Command { return t.list }

// arityOK reports whether a call with n arguments, name included, fits.
func (c *Command) arityOK(n int) bool {
	if c.Arity >= 0 {
		return n == c.Arity
	}
	return n >= -c.Arity
}

func lowerASCII(b []byte) {
	for i, ch := range b {
		if 'A' <= ch && ch <= 'Z' {
			b[i] = ch + 'a' - 'A'
		}
	}
}

// equalFold compares with a lower-case ASCII string.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i := range b {
		ch := b[i]
		if 'A' <= ch && ch <= 'Z' {
			ch += 'a' - 'A'
		}
		if ch != lower[i] {
			return false
		}
	}
	return true
}

// CommandStats count one command's calls. A table that is shared by servers shares them.
type CommandStats struct {
	Calls    atomic.Int64 // ran
	Rejected atomic.Int64 // refused before it ran: arity, auth, loading
	Failed   atomic.Int64 // answered an error
}

// Stats are the live counters of the command.
func (c *Command) Stats() *CommandStats { return &c.stats }

func (c *Command) resetStats() {
	c.stats.Calls.Store(0)
	c.stats.Rejected.Store(0)
	c.stats.Failed.Store(0)
	for _, sub := range c.Subcommands {
		sub.resetStats()
	}
}
