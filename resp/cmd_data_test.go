package resp

import (
	"fmt"
	"strings"
	"testing"

	"shoal/wire"
)

func TestStrings(t *testing.T) {
	cmdConnect(t, newCmdBackend()).dialogue([]cmdCase{
		{"GET k", "nil"},
		{"SET k v", "+OK"},
		{"GET k", `"v"`},
		{"STRLEN k", ":1"},
		{"STRLEN missing", ":0"},
		{"TYPE k", "+string"},
		{"TYPE missing", "+none"},
		{`SET k "\x00\r\n"`, "+OK"},
		{"GET k", `"\x00\r\n"`},
		{"MSET a 1 b 2 a 3", "+OK"},
		{"MGET a b missing a", `["3" "2" nil "3"]`},
		{"EXISTS a", ":1"},
		{"EXISTS a a b missing", ":3"},
		{"TOUCH a a", ":2"},
		{"DEL a a", ":1"},
		{"UNLINK b missing", ":1"},
		{"DBSIZE", ":1"},
		{"FLUSHALL ASYNC", "+OK"},
		{"FLUSHDB", "+OK"},
		{"DBSIZE", ":0"},
		{"FLUSHALL now", "-ERR syntax error"},
		{"FLUSHDB SYNC ASYNC", "-ERR syntax error"},
		{"MSET a 1 b", "-ERR wrong number of arguments for 'mset' command"},
		{"MSET a", "-ERR wrong number of arguments for 'mset' command"},
		{"GET", "-ERR wrong number of arguments for 'get' command"},
		{"MGET", "-ERR wrong number of arguments for 'mget' command"},
	})
}

func TestSetOptions(t *testing.T) {
	const refused = " is not supported: a write without a leader cannot depend on what the key holds"
	cmdConnect(t, newCmdBackend()).dialogue([]cmdCase{
		{"SET k v EX 10", "+OK"}, {"PTTL k", ":10000"},
		{"SET k v KEEPTTL", "+OK"}, {"PTTL k", ":10000"},
		{"SET k v", "+OK"}, {"PTTL k", ":-1"},
		{"SET k v px 1500", "+OK"}, {"TTL k", ":2"},
		{"SET k v EXAT 4000000100", "+OK"}, {"EXPIRETIME k", ":4000000100"},
		{"SET k v PXAT 4000000100499", "+OK"}, {"EXPIRETIME k", ":4000000100"}, {"PEXPIRETIME k", ":4000000100499"},
		{"SET k v EX 10 EX 20", "+OK"}, {"TTL k", ":20"},
		{"SET k v PXAT 1", "+OK"}, {"GET k", "nil"},
		{"SET k v PXAT 9223372036854775807", "+OK"}, {"PEXPIRETIME k", ":9223372036854775807"},
		{"SETEX k 7 v", "+OK"}, {"TTL k", ":7"},
		{"PSETEX k 700 v", "+OK"}, {"PTTL k", ":700"},

		{"SET k v EX", "-ERR syntax error"},
		{"SET k v EX 10 PX 10", "-ERR syntax error"},
		{"SET k v KEEPTTL EX 10", "-ERR syntax error"},
		{"SET k v EX 10 KEEPTTL", "-ERR syntax error"},
		{"SET k v NX XX", "-ERR syntax error"},
		{"SET k v PERSIST", "-ERR syntax error"},
		{"SET k v EX ten what", "-ERR syntax error"},
		{"SET k v EX ten", "-ERR value is not an integer or out of range"},
		{"SET k v EX +10", "-ERR value is not an integer or out of range"},
		{"SET k v EX 010", "-ERR value is not an integer or out of range"},
		{"SET k v EX 0", "-ERR invalid expire time in 'set' command"},
		{"SET k v PXAT -1", "-ERR invalid expire time in 'set' command"},
		{"SET k v EX 9223372036854776", "-ERR invalid expire time in 'set' command"},
		{"SET k v EX 9223372036854775", "-ERR invalid expire time in 'set' command"},
		{"SET k v PX 9223372036854775807", "-ERR invalid expire time in 'set' command"},
		{"SETEX k 0 v", "-ERR invalid expire time in 'setex' command"},
		{"SETEX k ten v", "-ERR value is not an integer or out of range"},
		{"PSETEX k -1 v", "-ERR invalid expire time in 'psetex' command"},

		{"SET k v NX", "-ERR SET NX" + refused},
		{"SET k v xx EX 10", "-ERR SET XX" + refused},
		{"SET k v GET", "-ERR SET GET" + refused},
	})
}

func TestExpiry(t *testing.T) {
	const refused = " is not supported: a write without a leader cannot depend on what the key holds"
	cmdConnect(t, newCmdBackend()).dialogue([]cmdCase{
		{"TTL k", ":-2"}, {"EXPIRETIME k", ":-2"}, {"EXPIRE k 10", ":0"}, {"PERSIST k", ":0"},
		{"SET k v", "+OK"},
		{"TTL k", ":-1"}, {"PEXPIRETIME k", ":-1"}, {"PERSIST k", ":0"},
		{"EXPIRE k 10", ":1"}, {"TTL k", ":10"},
		{"PEXPIRE k 10", ":1"}, {"PTTL k", ":10"}, {"TTL k", ":0"},
		{"EXPIREAT k 4000000001", ":1"}, {"PTTL k", ":1000"},
		{"PEXPIREAT k 4000000000001", ":1"}, {"PTTL k", ":1"},
		{"PERSIST k", ":1"}, {"TTL k", ":-1"},
		{"EXPIRE k 0", ":1"}, {"EXISTS k", ":0"},
		{"SET k v", "+OK"}, {"EXPIREAT k 0", ":1"}, {"EXISTS k", ":0"},
		{"SET k v", "+OK"}, {"PEXPIRE k -9223372036854775808", ":1"}, {"EXISTS k", ":0"},
		{"SET k v", "+OK"}, {"EXPIREAT k 1", ":1"}, {"EXISTS k", ":0"},
		{"EXPIRE k -1", ":0"},
		{"EXPIRE k 9223372036854776", "-ERR invalid expire time in 'expire' command"},
		{"EXPIRE k -9223372036854776", "-ERR invalid expire time in 'expire' command"},
		{"PEXPIRE k 9223372036854775807", "-ERR invalid expire time in 'pexpire' command"},
		{"EXPIREAT k 9223372036854775807", "-ERR invalid expire time in 'expireat' command"},
		{"EXPIRE k ten", "-ERR value is not an integer or out of range"},
		{"EXPIRE k ten what", "-ERR Unsupported option what"},
		{"EXPIRE k 1 NX XX", "-ERR NX and XX, GT or LT options at the same time are not compatible"},
		{"EXPIRE k 1 GT LT", "-ERR GT and LT options at the same time are not compatible"},
		{"EXPIRE k 1 nx", "-ERR EXPIRE NX" + refused},
		{"PEXPIREAT k 1 XX GT", "-ERR PEXPIREAT XX" + refused},
	})
}

func TestSiblingCommands(t *testing.T) {
	cmdConnect(t, newCmdBackend()).dialogue([]cmdCase{
		{"VGET k", `["ctx:" []]`},
		{`VSET k "" v`, `"ctx:v"`},
		{"VGET k", `["ctx:v" [["v" "0000000000000abc:7" :4000000000000]]]`},
		{"SIBLINGS k", ":1"},
		{"VSET k ctx v PX 5", `"ctx:v"`}, {"PTTL k", ":5"},
		{"VSET k ctx v KEEPTTL", "-ERR syntax error"},
		{"VSET k ctx v NX", "-ERR syntax error"},
		{"VSET k ctx v EX 0", "-ERR invalid expire time in 'vset' command"},
		{"VSET k ctx", "-ERR wrong number of arguments for 'vset' command"},
		{"VDEL k ctx", ":1"},
		{"SIBLINGS k", ":0"},
	})
}

// A vector never has a key twice for one command, and an expiry in the past travels as a DEL.
func TestOperations(t *testing.T) {
	for _, x := range []struct{ ask, want string }{
		{"MGET a b a", "get a, get b"},
		{"MSET a 1 b 2 a 3", "set a 3, set b 2"},
		{"DEL a a b", "del a, del b"},
		{"EXPIRE a 0", "del a"},
		{"EXPIRE a 2", "expire a rel 2000"},
		{"EXPIREAT a 2", "expire a abs 2000"},
		{"SET a v KEEPTTL", "set a v keep"},
	} {
		b := newCmdBackend()
		cmdConnect(t, b).ask(x.ask)
		if got := describeOps(b.seen); got != x.want {
			t.Errorf("%s: %s, want %s", x.ask, got, x.want)
		}
	}
}

func describeOps(ops []wire.Op) string {
	names := map[wire.Code]string{wire.OpGet: "get", wire.OpSet: "set", wire.OpDel: "del", wire.OpExpire: "expire"}
	var all []string
	for _, op := range ops {
		words := []string{names[op.Code], string(op.Key)}
		if op.Value = op.Value[:len(op.Value):len(op.Value)]; len(op.Value) > 0 {
			words = append(words, string(op.Value))
		}
		switch op.TTL {
		case wire.TTLRelative:
			words = append(words, "rel", fmt.Sprint(op.At))
		case wire.TTLAbsolute:
			words = append(words, "abs", fmt.Sprint(op.At))
		case wire.TTLKeep:
			words = append(words, "keep")
		}
		all = append(all, strings.Join(words, " "))
	}
	return strings.Join(all, ", ")
}

func TestReadOnlyAsksOneOwner(t *testing.T) {
	b := newCmdBackend()
	c := cmdConnect(t, b)
	c.dialogue([]cmdCase{
		{"GET a", "nil"}, {"READONLY", "+OK"}, {"GET a", "nil"}, {"TTL a", ":-2"}, {"MGET a", "[nil]"},
		{"READWRITE", "+OK"}, {"GET a", "nil"},
	})
	var got []bool
	for _, op := range b.seen {
		got = append(got, op.ReadOne)
	}
	if want := "[false true true true false]"; fmt.Sprint(got) != want {
		t.Errorf("ReadOne is %v, want %s", got, want)
	}
}

// One failing key fails the command with its error; an uncertain write goes before a refused one.
func TestFailures(t *testing.T) {
	b := newCmdBackend()
	b.fails["none"] = wire.Result{Status: wire.NoReplicas}
	b.fails["half"] = wire.Result{Status: wire.Uncertain, Reached: 1, Wanted: 2}
	b.fails["flush"] = wire.Result{Status: wire.NoReplicas}
	b.fails["dbsize"] = wire.Result{Status: wire.ClusterDown}
	const none = "-NOREPLICAS Not enough good replicas to write."
	const half = "-UNCERTAIN write reached 1 of 2 replicas; it may or may not be applied"
	cmdConnect(t, b).dialogue([]cmdCase{
		{"GET none", none}, {"SET none v", none}, {"TTL none", none}, {"TYPE none", none}, {"VGET none", none},
		{"VSET none c v", none}, {"EXISTS ok none", none}, {"MGET ok none ok", none}, {"DEL ok none", none},
		{"SET half v", half}, {"MSET none 1 half 2", half}, {"MSET half 1 none 2", half},
		{"FLUSHALL", none}, {"DBSIZE", "-CLUSTERDOWN The cluster is down"},
	})
}

func TestManyKeys(t *testing.T) {
	var keys []string
	for i := range 3 * smallSet {
		keys = append(keys, fmt.Sprintf("k%d", i%(smallSet+3)))
	}
	c := cmdConnect(t, newCmdBackend())
	c.dialogue([]cmdCase{
		{"MSET " + strings.Join(keys, " x ") + " x", "+OK"},
		{"DBSIZE", fmt.Sprintf(":%d", smallSet+3)},
		{"EXISTS " + strings.Join(keys, " "), fmt.Sprintf(":%d", 3*smallSet)},
		{"MGET " + strings.Join(keys, " "), "[" + strings.TrimSpace(strings.Repeat(`"x" `, 3*smallSet)) + "]"},
		{"DEL " + strings.Join(keys, " "), fmt.Sprintf(":%d", smallSet+3)},
	})
}
