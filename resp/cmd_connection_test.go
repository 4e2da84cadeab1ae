package resp

import (
	"strings"
	"testing"
)

func TestConnectionCommands(t *testing.T) {
	cmdConnect(t, newCmdBackend()).dialogue([]cmdCase{
		{"PING", "+PONG"},
		{"ping hello", `"hello"`},
		{"PING a b", "-ERR wrong number of arguments for 'ping' command"},
		{"ECHO hello", `"hello"`},
		{"ECHO", "-ERR wrong number of arguments for 'echo' command"},
		{"SELECT 0", "+OK"},
		{"SELECT 1", "-ERR SELECT is not allowed in cluster mode"},
		{"SELECT x", "-ERR value is not an integer or out of range"},
		{"READONLY", "+OK"},
		{"READWRITE", "+OK"},
		{"ASKING", "+OK"},
		{"TIME", `["4000000000" "0"]`},
		{"lol a b", "-ERR unknown command 'lol', with args beginning with: 'a' 'b' "},
		{"LOL", "-ERR unknown command 'LOL', with args beginning with: "},
		{`"co\nmm" "a\r\nb"`, "-ERR unknown command 'co mm', with args beginning with: 'a  b' "},
		{"QUIT", "+OK"},
		{"PING", "closed"},
	})
}

func TestHello(t *testing.T) {
	const two = `["server" "redis" "version" "7.0.15" "proto" :2 "id" :1 "mode" "cluster" "role" "master" "modules" []]`
	const three = `{"server"="redis" "version"="7.0.15" "proto"=:3 "id"=:1 "mode"="cluster" "role"="master" "modules"=[]}`
	cmdConnect(t, newCmdBackend()).dialogue([]cmdCase{
		{"HELLO", two},
		{"HELLO 3", three},
		{"HELLO", three},
		{"GET missing", "nil"},
		{"HELLO 2 SETNAME me", two},
		{"CLIENT GETNAME", `"me"`},
		{"HELLO 3 AUTH default anything", three},
		{"RESET", "+RESET"},
		{"CLIENT GETNAME", "nil"},
		{"HELLO 4", "-NOPROTO unsupported protocol version"},
		{"HELLO abc", "-ERR Protocol version is not an integer or out of range"},
		{"HELLO 3 AUTH x", "-ERR Syntax error in HELLO option 'AUTH'"},
		{"HELLO 3 SETNAME", "-ERR Syntax error in HELLO option 'SETNAME'"},
		{"HELLO 3 what", "-ERR Syntax error in HELLO option 'what'"},
		{"HELLO 3 AUTH other x", "-WRONGPASS invalid username-password pair or user is disabled."},
		{`HELLO 3 SETNAME "a\x20b"`, "-ERR Client names cannot contain spaces, newlines or special characters."},
	})
}

func TestAuth(t *testing.T) {
	const wrong = "-WRONGPASS invalid username-password pair or user is disabled."
	s, address := cmdServe(t, newCmdBackend())
	cmdDial(t, address).dialogue([]cmdCase{
		{"AUTH x", "-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?"},
		{"AUTH default x", "+OK"},
		{"AUTH other x", wrong},
		{"AUTH a b c", "-ERR syntax error"},
	})
	s.Settings().SetPassword("secret")
	cmdDial(t, address).dialogue([]cmdCase{
		{"GET k", "-NOAUTH Authentication required."},
		{"PING", "-NOAUTH Authentication required."},
		{"HELLO 3", "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time"},
		{"AUTH guess", wrong},
		{"AUTH other secret", wrong},
		{"AUTH secret", "+OK"},
		{"PING", "+PONG"},
		{"RESET", "+RESET"},
		{"PING", "-NOAUTH Authentication required."},
		{"AUTH default secret", "+OK"},
		{"PING", "+PONG"},
	})
	c := cmdDial(t, address)
	if got := c.ask("HELLO 3 AUTH default secret SETNAME me"); !strings.HasPrefix(got, `{"server"="redis"`) {
		t.Errorf("HELLO with the password: %s", got)
	}
	c.dialogue([]cmdCase{{"CLIENT GETNAME", `"me"`}})
}

func TestClient(t *testing.T) {
	_, address := cmdServe(t, newCmdBackend())
	first, second := cmdDial(t, address), cmdDial(t, address)
	first.dialogue([]cmdCase{
		{"CLIENT ID", ":1"},
		{"CLIENT GETNAME", "nil"},
		{"CLIENT SETNAME me", "+OK"},
		{"CLIENT GETNAME", `"me"`},
		{`CLIENT SETNAME "a\x20b"`, "-ERR Client names cannot contain spaces, newlines or special characters."},
		{"CLIENT SETINFO LIB-NAME lib", "+OK"},
		{"CLIENT SETINFO lib-ver 1.2", "+OK"},
		{"CLIENT SETINFO lib-color red", "-ERR Unrecognized option 'lib-color'"},
		{`CLIENT SETINFO LIB-NAME "a\x20b"`, "-ERR lib-name cannot contain spaces, newlines or special characters."},
		{"CLIENT", "-ERR wrong number of arguments for 'client' command"},
		{"CLIENT ID x", "-ERR wrong number of arguments for 'client|id' command"},
		{"CLIENT KILL x", "-ERR unknown subcommand 'KILL'. Try CLIENT HELP."},
		{"CLIENT TRACKING ON", "-ERR unknown subcommand 'TRACKING'. Try CLIENT HELP."},
		{"CLIENT LIST what", "-ERR syntax error"},
		{"CLIENT LIST ID", "-ERR syntax error"},
		{"CLIENT LIST ID x", "-ERR Invalid client ID"},
		{"CLIENT LIST TYPE what", "-ERR Unknown client type 'what'"},
		{"CLIENT LIST TYPE pubsub", `""`},
		{"CLIENT LIST ID 77", `""`},
		{"CLIENT LIST ID 0 -1", `""`},
	})
	second.dialogue([]cmdCase{{"CLIENT ID", ":2"}, {"READONLY", "+OK"}})
	info := first.ask("CLIENT INFO")
	for _, want := range []string{`"id=1 addr=127.0.0.1:`, " name=me ", " flags=N db=0 ", " cmd=client|info user=default ", ` resp=2 lib-name=lib lib-ver=1.2\n"`} {
		if !strings.Contains(info, want) {
			t.Errorf("CLIENT INFO lacks %q: %s", want, info)
		}
	}
	list := first.ask("CLIENT LIST")
	if strings.Count(list, `\n`) != 2 || !strings.Contains(list, `\nid=2 `) || !strings.Contains(list, " flags=r ") {
		t.Errorf("CLIENT LIST: %s", list)
	}
	if got := first.ask("CLIENT LIST ID 2 1"); strings.Count(got, "id=") < 2 {
		t.Errorf("CLIENT LIST ID: %s", got)
	}
}

func TestLoading(t *testing.T) {
	b := newCmdBackend()
	b.ready, b.ring = "the node has no ring map yet", nil
	const loading = "-LOADING the node has no ring map yet"
	c := cmdConnect(t, b)
	c.dialogue([]cmdCase{
		{"PING", loading}, {"GET k", loading}, {"DBSIZE", loading}, {"CLUSTER SLOTS", loading}, {"FLUSHALL", loading},
		{"ECHO x", `"x"`}, {"SELECT 0", "+OK"}, {"CLIENT ID", ":1"}, {"INFO ring", `"# Ring\r\n"`},
	})
	if got := c.ask("INFO persistence"); !strings.Contains(got, `loading:1\r\n`) {
		t.Errorf("INFO persistence: %s", got)
	}
}
