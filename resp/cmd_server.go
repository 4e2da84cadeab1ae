package resp

import (
	"strconv"

	"shoal/wire"
)

func serverCommands() []*Command {
	return []*Command{
		{Name: "command", Arity: -1, Flags: FlagLoading | FlagStale, Run: runCommand, Subcommands: commandCommands()},
		{Name: "config", Arity: -2, Subcommands: configCommands()},
		{Name: "info", Arity: -1, Flags: FlagLoading | FlagStale, Run: runInfo},
		{Name: "time", Arity: 1, Flags: FlagLoading | FlagStale | FlagFast, Run: runTime},
		{Name: "dbsize", Arity: 1, Flags: FlagReadonly | FlagFast, Run: runDBSize, waits: true},
		{Name: "flushall", Arity: -1, Flags: FlagWrite, Run: runFlush},
		{Name: "flushdb", Arity: -1, Flags: FlagWrite, Run: runFlush},
	}
}

func runTime(c *Conn, _ [][]byte, w *Writer) {
	us := c.Server().Now().UnixMicro()
	w.Array(2)
	w.BulkString(strconv.FormatInt(us/1e6, 10))
	w.BulkString(strconv.FormatInt(us%1e6, 10))
}

func runDBSize(c *Conn, _ [][]byte, w *Writer) {
	n, res := c.Backend().DBSize()
	writeCount(w, n, res)
}

func writeCount(w *Writer, n int64, res wire.Result) {
	if !writeFailure(w, res) {
		w.Int(n)
	}
}

// runFlush drops every key of the cluster. ASYNC and SYNC are accepted and mean the same: the keys are gone when the
// answer comes, and the rows behind them go in the background.
func runFlush(c *Conn, args [][]byte, w *Writer) {
	if len(args) > 2 || len(args) == 2 && !equalFold(args[1], "async") && !equalFold(args[1], "sync") {
		w.Error(errSyntax)
		return
	}
	if !writeFailure(w, c.Backend().Flush()) {
		w.OK()
	}
}
