package resp

import (
	"fmt"
	"strings"
	"testing"

	"shoal/ring"
)

// threeNodes is a ring of three members with four partitions, whose owners are set by hand: 0 and 1 begin with node 1,
// 2 with node 2, 3 with node 3.
func threeNodes(t *testing.T) *ring.Map {
	t.Helper()
	member := func(id ring.NodeID) ring.Member {
		return ring.Member{ID: id, Name: fmt.Sprint("n", id), Client: fmt.Sprintf("10.0.0.%d:6379", id), Peer: fmt.Sprintf("10.0.0.%d:16380", id), Weight: 1}
	}
	m := ring.Found(ring.ClusterID{1}, [32]byte{}, 2, 4, member(1))
	for _, id := range []ring.NodeID{2, 3} {
		next, err := m.WithMember(member(id))
		if err != nil {
			t.Fatal(err)
		}
		m = next
	}
	m.Owners = [][]ring.NodeID{{1, 2}, {1, 2}, {2, 3}, {3, 1}}
	return m
}

func clusterOfThree(t *testing.T, dead ...ring.NodeID) *cmdClient {
	t.Helper()
	b := newCmdBackend()
	b.ring = threeNodes(t)
	for _, id := range dead {
		b.dead[id] = true
	}
	return cmdConnect(t, b)
}

// named replaces node ids by one, two and three.
func named(reply string) string {
	return strings.NewReplacer(ring.NodeID(1).Hex(), "one", ring.NodeID(2).Hex(), "two", ring.NodeID(3).Hex(), "three").Replace(reply)
}

func TestClusterSlots(t *testing.T) {
	const one, two, three = `["10.0.0.1" :6379 "one" []]`, `["10.0.0.2" :6379 "two" []]`, `["10.0.0.3" :6379 "three" []]`
	for _, x := range []struct {
		dead []ring.NodeID
		want string
	}{
		{nil, "[[:0 :8191 " + one + " " + two + "] [:8192 :12287 " + two + " " + three + "] [:12288 :16383 " + three + " " + one + "]]"},
		{[]ring.NodeID{2}, "[[:0 :8191 " + one + "] [:8192 :12287 " + three + "] [:12288 :16383 " + three + " " + one + "]]"},
		{[]ring.NodeID{2, 3}, "[[:0 :8191 " + one + "] [:12288 :16383 " + one + "]]"},
	} {
		if got := named(clusterOfThree(t, x.dead...).ask("CLUSTER SLOTS")); got != x.want {
			t.Errorf("dead %v:\n got %s\nwant %s", x.dead, got, x.want)
		}
	}
}

func TestClusterNodes(t *testing.T) {
	const want = `one 10.0.0.1:6379@16380 myself,master - 0 0 3 connected 0-8191\n` +
		`two 10.0.0.2:6379@16380 master,fail? - 0 0 3 disconnected\n` +
		`three 10.0.0.3:6379@16380 master - 0 0 3 connected 8192-16383\n`
	if got := named(clusterOfThree(t, 2).ask("CLUSTER NODES")); got != `"`+want+`"` {
		t.Errorf("got %s", got)
	}
}

func TestClusterShards(t *testing.T) {
	node := func(n int, id, health string) string {
		return fmt.Sprintf(`["id" "%s" "port" :6379 "ip" "10.0.0.%d" "endpoint" "10.0.0.%d" "role" "master" "replication-offset" :0 "health" "%s"]`, id, n, n, health)
	}
	want := `[["slots" [:0 :8191] "nodes" [` + node(1, "one", "online") + `]] ` +
		`["slots" [] "nodes" [` + node(2, "two", "fail") + `]] ` +
		`["slots" [:8192 :16383] "nodes" [` + node(3, "three", "online") + `]]]`
	if got := named(clusterOfThree(t, 2).ask("CLUSTER SHARDS")); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestClusterInfo(t *testing.T) {
	for _, x := range []struct {
		dead []ring.NodeID
		want []string
	}{
		{nil, []string{"cluster_state:ok", "cluster_slots_assigned:16384", "cluster_slots_ok:16384", "cluster_known_nodes:3", "cluster_size:3", "cluster_current_epoch:3"}},
		{[]ring.NodeID{2}, []string{"cluster_state:ok", "cluster_known_nodes:3", "cluster_size:3"}},
		{[]ring.NodeID{2, 3}, []string{"cluster_state:fail", "cluster_slots_ok:12288", "cluster_slots_fail:4096"}},
	} {
		got := clusterOfThree(t, x.dead...).ask("CLUSTER INFO")
		for _, want := range x.want {
			if !strings.Contains(got, want+`\r\n`) {
				t.Errorf("dead %v: no %s in %s", x.dead, want, got)
			}
		}
	}
	if got := clusterOfThree(t, 3).ask("INFO ring"); !strings.Contains(got, `ring_members:3\r\nring_live:2\r\n`) {
		t.Errorf("INFO ring: %s", got)
	}
}

func TestClusterCommands(t *testing.T) {
	c := clusterOfThree(t)
	c.dialogue([]cmdCase{
		{"CLUSTER MYID", `"` + ring.NodeID(1).Hex() + `"`},
		{"CLUSTER KEYSLOT foo", ":12182"},
		{"CLUSTER KEYSLOT a{b}", ":3300"},
		{"CLUSTER KEYSLOT", "-ERR wrong number of arguments for 'cluster|keyslot' command"},
		{"SET foo v", "+OK"},
		{"CLUSTER COUNTKEYSINSLOT 12182", ":1"},
		{"CLUSTER COUNTKEYSINSLOT 0", ":0"},
		{"CLUSTER COUNTKEYSINSLOT 16384", "-ERR Invalid slot"},
		{"CLUSTER COUNTKEYSINSLOT -1", "-ERR Invalid slot"},
		{"CLUSTER COUNTKEYSINSLOT x", "-ERR value is not an integer or out of range"},
		{"CLUSTER MEET h 1", "-ERR unknown subcommand 'MEET'. Try CLUSTER HELP."},
		{"CLUSTER", "-ERR wrong number of arguments for 'cluster' command"},
	})
}

// In the worst ring no two neighbouring partitions have the same owners, and the list has one range for each.
func TestTopologyMergesOnlyNeighbours(t *testing.T) {
	m := threeNodes(t)
	m.Owners = [][]ring.NodeID{{1, 2}, {2, 1}, {1, 2}, {1, 3}}
	top := newTopology(m, 1, func(ring.NodeID) bool { return true })
	if len(top.ranges) != 4 {
		t.Errorf("%d ranges, want 4", len(top.ranges))
	}
	if got := fmt.Sprint(top.primaryRanges(1)); got != "[[0 4095] [8192 16383]]" {
		t.Errorf("primary ranges of 1: %s", got)
	}
}

func TestCommandsAboutRepair(t *testing.T) {
	b := newCmdBackend()
	c := cmdConnect(t, b)
	for _, x := range []struct{ ask, want string }{
		{"CLUSTER DIVERGENCE", `[["two" :4 :1 :1500] ["three" :0 :0 :-1]]`},
		{"CLUSTER DIGEST", `[[:0 :3 "0000000000000abc"] [:3 :0 "0000000000000000"]]`},
		{"CLUSTER REPAIR", ":2"},
		{"CLUSTER REPAIR 3", ":2"},
		{"CLUSTER REPAIR 4", "-ERR Invalid partition"},
		{"CLUSTER REPAIR -1", "-ERR Invalid partition"},
		{"CLUSTER REPAIR x", "-ERR value is not an integer or out of range"},
		{"CLUSTER REPAIR 1 2", "-ERR wrong number of arguments for 'cluster|repair' command"},
		{"CLUSTER DIGEST 1", "-ERR wrong number of arguments for 'cluster|digest' command"},
		{"CLUSTER DIVERGENCE 1", "-ERR wrong number of arguments for 'cluster|divergence' command"},
	} {
		if got := named(c.ask(x.ask)); got != x.want {
			t.Errorf("%s\n got %s\nwant %s", x.ask, got, x.want)
		}
	}
	if len(b.repaired) != 2 || b.repaired[0] != -1 || b.repaired[1] != 3 {
		t.Errorf("repaired %v", b.repaired)
	}
}
