package resp

import (
	"strings"
	"testing"
)

func TestCommandInfo(t *testing.T) {
	const key1 = `["flags" [+RO +access] "begin_search" ["type" "index" "spec" ["index" :1]] ` +
		`"find_keys" ["type" "range" "spec" ["lastkey" :0 "keystep" :1 "limit" :0]]]`
	const get = `["get" :2 [+readonly +fast] :1 :1 :1 [+@read +@string +@fast] [] [` + key1 + `] []]`
	c := cmdConnect(t, newCmdBackend())
	c.dialogue([]cmdCase{
		{"COMMAND INFO get", "[" + get + "]"},
		{"COMMAND INFO nosuch GET", "[nil " + get + "]"},
		{"COMMAND INFO mset", `[["mset" :-3 [+write +denyoom] :1 :-1 :2 [+@write +@string +@slow] ` +
			`["request_policy:multi_shard" "response_policy:all_succeeded"] [["flags" [+OW +update] ` +
			`"begin_search" ["type" "index" "spec" ["index" :1]] "find_keys" ["type" "range" "spec" ["lastkey" :-1 "keystep" :2 "limit" :0]]]] []]]`},
		{"COMMAND INFO config|get", `[["config|get" :-3 [+admin +noscript +loading +stale] :0 :0 :0 [+@admin +@slow +@dangerous] [] [] []]]`},
		{"COMMAND INFO auth", `[["auth" :-2 [+noscript +loading +stale +fast +no_auth +allow_busy] :0 :0 :0 [+@fast +@connection] [] [] []]]`},
	})
	c.ask("HELLO 3")
	c.dialogue([]cmdCase{{"COMMAND INFO get", `[["get" :2 ~[+readonly +fast] :1 :1 :1 ~[+@read +@string +@fast] ~[] ` +
		`~[{"flags"=~[+RO +access] "begin_search"={"type"="index" "spec"={"index"=:1}} ` +
		`"find_keys"={"type"="range" "spec"={"lastkey"=:0 "keystep"=:1 "limit"=:0}}}] ~[]]]`}})
}

func TestCommandSubcommands(t *testing.T) {
	c := cmdConnect(t, newCmdBackend())
	c.dialogue([]cmdCase{
		{"COMMAND COUNT", ":44"},
		{"COMMAND COUNT x", "-ERR wrong number of arguments for 'command|count' command"},
		{"COMMAND what", "-ERR unknown subcommand 'what'. Try COMMAND HELP."},
		{"COMMAND GETKEYS MSET a 1 b 2", `["a" "b"]`},
		{"COMMAND GETKEYS DEL a b c", `["a" "b" "c"]`},
		{"COMMAND GETKEYS VSET k c v", `["k"]`},
		{"COMMAND GETKEYS nosuch k", "-ERR Invalid command specified"},
		{"COMMAND GETKEYS CONFIG what", "-ERR Invalid command specified"},
		{"COMMAND GETKEYS PING x", "-ERR The command has no key arguments"},
		{"COMMAND GETKEYS CONFIG GET x", "-ERR The command has no key arguments"},
		{"COMMAND GETKEYS GET a b", "-ERR Invalid number of arguments specified for command"},
		{"COMMAND LIST FILTERBY PATTERN *expire", `["expire" "pexpire"]`},
		{"COMMAND LIST FILTERBY PATTERN config*", `["config" "config|get" "config|set" "config|resetstat"]`},
		{"COMMAND LIST FILTERBY ACLCAT string", `["get" "mget" "mset" "psetex" "set" "setex" "strlen" "vget" "vset"]`},
		{"COMMAND LIST FILTERBY ACLCAT nosuch", "[]"},
		{"COMMAND LIST FILTERBY MODULE x", "[]"},
		{"COMMAND LIST FILTERBY what x", "-ERR syntax error"},
		{"COMMAND LIST x", "-ERR syntax error"},
		{"COMMAND DOCS nosuch", "[]"},
		{"COMMAND DOCS strlen", `["strlen" ["summary" "Returns the length of a value in bytes" "since" "2.2.0" "group" "string" "complexity" "O(1)" ` +
			`"arguments" [["name" "key" "type" "key" "key_spec_index" :0]]]]`},
	})
	if got := c.ask("COMMAND"); strings.Count(got, `"begin_search"`) != 25 {
		t.Errorf("COMMAND describes %d commands with keys", strings.Count(got, `"begin_search"`))
	}
	c.ask("HELLO 3")
	if got := c.ask("COMMAND DOCS"); !strings.Contains(got, `"config|set"={"summary"=`) {
		t.Errorf("COMMAND DOCS lacks subcommands: %.200s", got)
	}
}

// Every command is documented, and nothing else is.
func TestDocsAreComplete(t *testing.T) {
	known := map[string]bool{}
	for _, c := range withSubcommands(Commands().All()) {
		name := c.FullName()
		known[name] = true
		d := docs[name]
		if c.Summary == "" || c.Since == "" || c.Group == "" || c.Complexity == "" {
			t.Errorf("%s is not documented", name)
		}
		if (c.FirstKey > 0) != (len(d.keyFlags) > 0) {
			t.Errorf("%s: key positions and key flags disagree", name)
		}
		if (c.Plan != nil) == (c.Run != nil) && len(c.Subcommands) == 0 {
			t.Errorf("%s has not exactly one of Plan and Run", name)
		}
	}
	for name := range docs {
		if !known[name] {
			t.Errorf("%s is documented and does not exist", name)
		}
	}
}

func TestConfig(t *testing.T) {
	const failed = "-ERR CONFIG SET failed (possibly related to argument '"
	b := newCmdBackend()
	b.info["config"] = []InfoField{{"appendfsync", "always"}, {"dir", "/data"}, {"shoal-w", "2"}, {"timeout", "99"}}
	s, address := cmdServe(t, b)
	cmdDial(t, address).dialogue([]cmdCase{
		{"CONFIG GET save", `["save" ""]`},
		{"CONFIG GET appendonly", `["appendonly" "yes"]`},
		{"CONFIG GET appendfsync dir shoal-?", `["appendfsync" "always" "dir" "/data" "shoal-w" "2"]`},
		{"CONFIG GET PROTO*", `["proto-max-bulk-len" "67108864"]`},
		{"CONFIG GET max[cm]* maxmemory", `["maxclients" "10000" "maxmemory" "0" "maxmemory-clients" "268435456" "maxmemory-policy" "noeviction" "maxmemory-samples" "5"]`},
		{"CONFIG GET nosuch", "[]"},
		{"CONFIG GET", "-ERR wrong number of arguments for 'config|get' command"},

		{"CONFIG SET proto-max-bulk-len 2mb timeout 7", "+OK"},
		{"CONFIG GET proto-max-bulk-len timeout", `["proto-max-bulk-len" "2097152" "timeout" "7"]`},
		{"CONFIG SET maxmemory 0 appendonly YES save", "-ERR syntax error"},
		{`CONFIG SET maxmemory 0mb appendonly YES save ""`, "+OK"},
		{"CONFIG SET maxmemory 1gb", failed + "maxmemory') - can't set immutable config"},
		{"CONFIG SET timeout 8 appendonly no", failed + "appendonly') - can't set immutable config"},
		{"CONFIG GET timeout", `["timeout" "7"]`},
		{"CONFIG SET timeout 1 TIMEOUT 2", failed + "timeout') - duplicate parameter"},
		{"CONFIG SET timeout x", failed + "timeout') - argument couldn't be parsed into an integer"},
		{"CONFIG SET maxclients 0", failed + "maxclients') - argument must be between 1 and 4294967295 inclusive"},
		{"CONFIG SET proto-max-bulk-len many", failed + "proto-max-bulk-len') - argument must be a memory value"},
		{"CONFIG SET proto-max-bulk-len 10", failed + "proto-max-bulk-len') - argument must be between 1048576 and 536870912 inclusive"},
		{"CONFIG SET protected-mode perhaps", failed + "protected-mode') - argument must be 'yes' or 'no'"},
		{"CONFIG SET nosuch 1", "-ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'"},
		{"CONFIG SET timeout", "-ERR wrong number of arguments for 'config|set' command"},
		{"CONFIG REWRITE", "-ERR unknown subcommand 'REWRITE'. Try CONFIG HELP."},
		{"CONFIG", "-ERR wrong number of arguments for 'config' command"},

		{"CONFIG RESETSTAT", "+OK"},
		{"CONFIG RESETSTAT x", "-ERR wrong number of arguments for 'config|resetstat' command"},
		{"CONFIG SET requirepass secret protected-mode no", "+OK"},
		{"CONFIG GET requirepass", `["requirepass" "secret"]`},
	})
	if s.Settings().MaxBulk.Load() != 2<<20 || s.Settings().ProtectedMode.Load() {
		t.Error("CONFIG SET changed nothing")
	}
}

func TestInfo(t *testing.T) {
	b := newCmdBackend()
	b.info["siblings"] = []InfoField{{"siblings_keys", "0"}, {"siblings_max", "1"}}
	b.info["keyspace"] = []InfoField{{"db0", "keys=3,expires=0,avg_ttl=0"}}
	b.info["ring"] = []InfoField{{"ring_pending_transfers", "4"}}
	c := cmdConnect(t, b)
	c.dialogue([]cmdCase{
		{"INFO cluster", `"# Cluster\r\ncluster_enabled:1\r\n"`},
		{"INFO SIBLINGS keyspace", `"# Keyspace\r\ndb0:keys=3,expires=0,avg_ttl=0\r\n\r\n# Siblings\r\nsiblings_keys:0\r\nsiblings_max:1\r\n"`},
		{"INFO ring", `"# Ring\r\nring_epoch:1\r\nring_members:1\r\nring_live:1\r\nring_partitions:4\r\nring_replicas:3\r\nring_pending_transfers:4\r\n"`},
		{"INFO nosuch", `""`},
		{"GET a", "nil"}, {"GET", "-ERR wrong number of arguments for 'get' command"}, {"SET a b NX x", "-ERR syntax error"},
	})
	plain := c.ask("INFO")
	for _, want := range []string{"# Server", "redis_version:7.0.15", "redis_mode:cluster", "shoal_version:", "# Clients",
		"connected_clients:1", "# Memory", "mem_allocator:libc", "# Persistence", "loading:0", "# Stats", "# Replication",
		"role:master", "# CPU", "# Modules", "# Errorstats", "# Cluster", "# Keyspace", "# Ring", "# Siblings"} {
		if !strings.Contains(plain, want) {
			t.Errorf("INFO lacks %q", want)
		}
	}
	if strings.Contains(plain, "# Commandstats") {
		t.Error("INFO shows Commandstats unasked")
	}
	all := c.ask("INFO everything")
	for _, want := range []string{
		"cmdstat_get:calls=1,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=0",
		"cmdstat_set:calls=1,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=1"} {
		if !strings.Contains(all, want) {
			t.Errorf("INFO everything lacks %q: %s", want, all)
		}
	}
	c.ask("HELLO 3")
	if got := c.ask("INFO cluster"); got != `txt"# Cluster\r\ncluster_enabled:1\r\n"` {
		t.Errorf("INFO in RESP3: %s", got)
	}
}
