package resp

import "slices"

// Commands is the one command table: every command shoal knows, and all that is told about them. Whatever is not in it
// is answered as Redis answers an unknown command.
func Commands() *Table {
	commands := slices.Concat(
		connectionCommands(),
		serverCommands(),
		stringCommands(),
		keyCommands(),
		expiryCommands(),
		siblingCommands(),
		clusterCommands(),
	)
	slices.SortFunc(commands, func(a, b *Command) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	t := NewTable(commands)
	for _, c := range commands {
		describe(c)
		for _, sub := range c.Subcommands {
			describe(sub)
		}
	}
	return t
}

// describe fills in what the documentation says of a command.
func describe(c *Command) {
	d := docs[c.FullName()]
	c.Summary, c.Since, c.Group, c.Complexity = d.summary, d.since, d.group, d.complexity
	c.Categories = categories(c, d.acl)
}

// aclOrder is the order in which Redis lists a command's ACL categories.
var aclOrder = []string{"keyspace", "read", "write", "string", "admin", "fast", "slow", "dangerous", "connection"}

// categories follow from the flags, and from what the documentation adds.
func categories(c *Command, extra []string) []string {
	has := map[string]bool{
		"read":      c.Has(FlagReadonly),
		"write":     c.Has(FlagWrite),
		"admin":     c.Has(FlagAdmin),
		"dangerous": c.Has(FlagAdmin),
		"fast":      c.Has(FlagFast),
		"slow":      !c.Has(FlagFast),
	}
	for _, name := range extra {
		has[name] = true
	}
	var names []string
	for _, name := range aclOrder {
		if has[name] {
			names = append(names, name)
		}
	}
	return names
}

// flagNames are the flags in the order in which COMMAND INFO lists them.
var flagNames = []struct {
	flag Flags
	name string
}{
	{FlagWrite, "write"}, {FlagReadonly, "readonly"}, {FlagDenyOOM, "denyoom"}, {FlagAdmin, "admin"},
	{FlagPubsub, "pubsub"}, {FlagNoscript, "noscript"}, {FlagBlocking, "blocking"}, {FlagLoading, "loading"},
	{FlagStale, "stale"}, {FlagSkipMonitor, "skip_monitor"}, {FlagSkipSlowlog, "skip_slowlog"}, {FlagFast, "fast"},
	{FlagNoAuth, "no_auth"}, {FlagNoAsyncLoading, "no_async_loading"}, {FlagNoMulti, "no_multi"},
	{FlagMovableKeys, "movablekeys"}, {FlagAllowBusy, "allow_busy"},
}

func (c *Command) flagList() []string {
	var names []string
	for _, f := range flagNames {
		if c.Has(f.flag) {
			names = append(names, f.name)
		}
	}
	return names
}

// keysOf are the keys among a call's arguments, by the command's key positions.
func (c *Command) keysOf(args [][]byte) [][]byte {
	if c.FirstKey == 0 {
		return nil
	}
	last := c.LastKey
	if last < 0 {
		last += len(args)
	}
	var keys [][]byte
	for i := c.FirstKey; i <= last && i < len(args); i += c.KeyStep {
		keys = append(keys, args[i])
	}
	return keys
}
