package resp

// doc is what COMMAND DOCS and COMMAND INFO say of a command beside the fields of Command.
type doc struct {
	summary, since, group, complexity string

	acl      []string // ACL categories that do not follow from the flags
	tips     []string // hints for cluster clients and proxies
	keyFlags []string // what the command does with its keys, in the words of Redis's key specifications
	args     []argument
}

// argument is an entry of COMMAND DOCS' "arguments".
type argument struct {
	name, kind string
	token      string
	flags      []string
	args       []argument
}

const (
	constant = "O(1)"
	perKey   = "O(N) where N is the number of keys"

	groupString     = "string"
	groupGeneric    = "generic"
	groupConnection = "connection"
	groupServer     = "server"
	groupCluster    = "cluster"
	groupSiblings   = "siblings"
)

var (
	aclKeyspace   = []string{"keyspace"}
	aclString     = []string{"string"}
	aclConnection = []string{"connection"}
	aclDangerous  = []string{"dangerous"}
	aclFlush      = []string{"keyspace", "dangerous"}

	keyRead      = []string{"RO", "access"}
	keyLook      = []string{"RO"}
	keyOverwrite = []string{"OW", "update"}
	keyUpdate    = []string{"RW", "update"}
	keyRemove    = []string{"RM", "delete"}

	tipsVaries   = []string{"nondeterministic_output"}
	tipsAnyOrder = []string{"nondeterministic_output_order"}
	tipsGather   = []string{"request_policy:multi_shard"}
	tipsSum      = []string{"request_policy:multi_shard", "response_policy:agg_sum"}
	tipsAllOK    = []string{"request_policy:multi_shard", "response_policy:all_succeeded"}

	optional = []string{"optional"}
	multiple = []string{"multiple"}
)

// Arguments that many commands share.
var (
	argKey     = argument{name: "key", kind: "key"}
	argKeys    = argument{name: "key", kind: "key", flags: multiple}
	argValue   = argument{name: "value", kind: "string"}
	argContext = argument{name: "context", kind: "string"}
	argSeconds = argument{name: "seconds", kind: "integer"}
	argMillis  = argument{name: "milliseconds", kind: "integer"}
	argUnix    = argument{name: "unix-time-seconds", kind: "unix-time"}
	argUnixMs  = argument{name: "unix-time-milliseconds", kind: "unix-time"}
	argFlush   = choice("flush_type", token("async", "ASYNC"), token("sync", "SYNC"))

	timeChoices = []argument{
		{name: "seconds", kind: "integer", token: "EX"},
		{name: "milliseconds", kind: "integer", token: "PX"},
		{name: "unix-time-seconds", kind: "unix-time", token: "EXAT"},
		{name: "unix-time-milliseconds", kind: "unix-time", token: "PXAT"},
	}
)

func text(name string) argument { return argument{name: name, kind: "string"} }

func token(name, word string) argument { return argument{name: name, kind: "pure-token", token: word} }

// choice is an optional argument, one of several.
func choice(name string, args ...argument) argument {
	return argument{name: name, kind: "oneof", flags: optional, args: args}
}

// block is an argument that consists of others.
func block(name string, flags []string, args ...argument) argument {
	return argument{name: name, kind: "block", flags: flags, args: args}
}
