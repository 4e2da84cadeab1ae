package resp

import (
	"fmt"
	"strings"
	"time"
)

func clientCommands() []*Command {
	const own = FlagNoscript | FlagLoading | FlagStale
	return []*Command{
		{Name: "id", Arity: 2, Flags: own, Run: func(c *Conn, _ [][]byte, w *Writer) { w.Int(c.ID()) }},
		{Name: "getname", Arity: 2, Flags: own, Run: runClientGetName},
		{Name: "setname", Arity: 3, Flags: own, Run: runClientSetName},
		{Name: "setinfo", Arity: 4, Flags: own, Run: runClientSetInfo},
		{Name: "info", Arity: 2, Flags: own, Run: func(c *Conn, _ [][]byte, w *Writer) {
			w.Verbatim("txt", clientLine(c.Info(), c.Server().Now()))
		}},
		{Name: "list", Arity: -2, Flags: own | FlagAdmin, Run: runClientList},
	}
}

func runClientGetName(c *Conn, _ [][]byte, w *Writer) {
	if name := c.Name(); name != "" {
		w.BulkString(name)
		return
	}
	w.Null()
}

func runClientSetName(c *Conn, args [][]byte, w *Writer) {
	if !plainText(args[2]) {
		w.Error(errClientName)
		return
	}
	c.SetName(string(args[2]))
	w.OK()
}

// runClientSetInfo is of Redis 7.2; most of today's client libraries send it at connect.
func runClientSetInfo(c *Conn, args [][]byte, w *Writer) {
	set, attribute := c.SetLibName, "lib-name"
	switch {
	case equalFold(args[2], "lib-name"):
	case equalFold(args[2], "lib-ver"):
		set, attribute = c.SetLibVer, "lib-ver"
	default:
		w.Error("ERR Unrecognized option '" + string(clip(args[2], maxErrorArg)) + "'")
		return
	}
	if !plainText(args[3]) {
		w.Error("ERR " + attribute + " cannot contain spaces, newlines or special characters.")
		return
	}
	set(string(args[3]))
	w.OK()
}

func runClientList(c *Conn, args [][]byte, w *Writer) {
	show, errText := parseClientFilter(args[2:])
	if errText != "" {
		w.Error(errText)
		return
	}
	var b strings.Builder
	now := c.Server().Now()
	for _, info := range c.Server().Conns() {
		if show(info.ID) {
			b.WriteString(clientLine(info, now))
		}
	}
	w.Verbatim("txt", b.String())
}

// parseClientFilter reads [TYPE type] or [ID id ...] of CLIENT LIST. Every client here is of type normal.
func parseClientFilter(args [][]byte) (show func(id int64) bool, errText string) {
	switch {
	case len(args) == 0:
		return func(int64) bool { return true }, ""
	case len(args) == 2 && equalFold(args[0], "type"):
		return parseClientType(args[1])
	case len(args) >= 2 && equalFold(args[0], "id"):
		ids := make(map[int64]bool, len(args)-1)
		for _, a := range args[1:] {
			id, ok := parseInt(a)
			if !ok {
				return nil, errClientID
			}
			ids[id] = true
		}
		return func(id int64) bool { return ids[id] }, ""
	}
	return nil, errSyntax
}

func parseClientType(arg []byte) (show func(id int64) bool, errText string) {
	normal := equalFold(arg, "normal")
	known := normal || equalFold(arg, "master") || equalFold(arg, "replica") || equalFold(arg, "slave") || equalFold(arg, "pubsub")
	if !known {
		return nil, "ERR Unknown client type '" + string(clip(arg, maxErrorArg)) + "'"
	}
	return func(int64) bool { return normal }, ""
}

// clientLine is one line of CLIENT LIST. Fields that have no meaning here are shown as Redis shows them when unused.
func clientLine(i ConnInfo, now time.Time) string {
	flags, command := "N", i.LastCommandName
	if i.ReadOnly {
		flags = "r"
	}
	if command == "" {
		command = "NULL"
	}
	active := i.LastCommand
	if active.Before(i.Created) {
		active = i.Created
	}
	return fmt.Sprintf("id=%d addr=%s laddr=%s fd=-1 name=%s age=%d idle=%d flags=%s db=0 sub=0 psub=0 ssub=0 multi=-1 "+
		"qbuf=%d qbuf-free=%d argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=%d events=r cmd=%s "+
		"user=default redir=-1 resp=%d lib-name=%s lib-ver=%s\n",
		i.ID, i.RemoteAddr, i.LocalAddr, i.Name, seconds(i.Created, now), seconds(active, now), flags,
		i.QueryLen, max(i.QueryCap-i.QueryLen, 0), i.QueryCap, command, i.Proto, i.LibName, i.LibVer)
}

// seconds is the whole seconds since a time, 0 when the clock went back.
func seconds(since, now time.Time) int64 { return max(int64(now.Sub(since)/time.Second), 0) }
