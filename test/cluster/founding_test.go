package cluster

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"shoal/node"
)

func TestANodeAloneFoundsAClusterAndServes(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		c := w.machine("n1").up().client()
		want(t, c, "OK", "SET", "k", "v")
		want(t, c, "v", "GET", "k")
		want(t, c, 1, "DBSIZE")
	})
}

func TestThreeNodesFindEachOther(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for _, c := range clients(w.three()) {
			info := do(t, c, "CLUSTER", "INFO").(string)
			for _, line := range []string{"cluster_state:ok", "cluster_known_nodes:3", "cluster_size:3"} {
				if !strings.Contains(info, line+"\r\n") {
					t.Errorf("CLUSTER INFO lacks %s:\n%s", line, info)
				}
			}
			for name, value := range map[string]string{"ring_members": "3", "ring_live": "3", "ring_epoch": "3", "ring_partitions": "16", "ring_pending_transfers": "0"} {
				if got := infoField(t, c, "ring", name); got != value {
					t.Errorf("%s is %s, want %s", name, got, value)
				}
			}
		}
	})
}

// With as many partitions as a real cluster has.
func TestFourNodesThatStartAtOnceJoinOneAfterTheOther(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		full := func(o *node.Options) { o.Partitions = 0 }
		machines := []*machine{w.machine("n1", full).up()}
		for i := 2; i <= 4; i++ {
			m := w.machine(fmt.Sprint("n", i), full, joining("n1"))
			if err := m.start(); err != nil {
				t.Fatal(err)
			}
			machines = append(machines, m)
		}
		for _, m := range machines {
			m.ready(30 * time.Second)
		}
		w.together(5*time.Second, machines...)
		if st := machines[3].status(); st.Epoch != 4 || st.Members != 4 || st.Partitions != 256 {
			t.Errorf("the map has epoch %d, %d members, %d partitions", st.Epoch, st.Members, st.Partitions)
		}
	})
}

func TestAJoiningNodeMayStartBeforeTheClusterExists(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n2 := w.machine("n2", joining("n1"))
		if err := n2.start(); err != nil {
			t.Fatal(err)
		}
		wantError(t, n2.client(), "LOADING ", "PING")
		wantError(t, n2.client(), "LOADING ", "GET", "k")
		wantError(t, n2.client(), "LOADING ", "DBSIZE")
		time.Sleep(time.Minute)
		n1 := w.machine("n1").up()
		n2.ready(10 * time.Second)
		w.together(5*time.Second, n1, n2)
		want(t, n2.client(), "PONG", "PING")
	})
}

// refused starts a node that must end itself with such a reason.
func (m *machine) refused(words ...string) {
	m.w.t.Helper()
	err := m.start()
	if err == nil {
		select {
		case err = <-m.life.node.Failed():
		case <-m.life.node.Ready():
			m.w.t.Fatalf("%s was let in", m.name)
		case <-time.After(time.Minute):
			m.w.t.Fatalf("%s waits instead of giving up", m.name)
		}
		m.stop()
	}
	for _, x := range words {
		if !strings.Contains(err.Error(), x) {
			m.w.t.Errorf("%s is refused with %q, which does not say %q", m.name, err, x)
		}
	}
}

func TestAClusterThatHoldsDataTakesNoNewNode(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n1, n2, n3 := w.three()
		do(t, n1.client(), "SET", "k", "v")
		w.machine("n4", joining("n1")).refused("holds", "not supported yet")
		w.machine("n4", joining("n3")).refused("holds", "not supported yet")
		do(t, n1.client(), "DEL", "k")
		n4 := w.machine("n4", joining("n1")).up() // empty again
		w.together(5*time.Second, n1, n2, n3, n4)
	})
}

func TestAFolderKeepsItsName(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		_, n2, _ := w.three()
		n2.stop()
		n2.opts.Name = "other"
		n2.refused(`"n2"`, `"other"`)
	})
}

func TestNIsFixedAtFounding(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n1, _, _ := w.three()
		five := func(o *node.Options) { o.N = 5 }
		w.machine("n4", joining("n1"), five).refused("N=3", "N=5")
		n1.stop()
		n1.opts.N = 5
		n1.refused("N=3", "N=5")
	})
}

func TestASmallNIsKept(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		one := func(o *node.Options) { o.N, o.R, o.W = 1, 1, 1 }
		n1, n2, _ := w.three(one)
		do(t, n1.client(), "SET", "k", "v")
		want(t, n2.client(), "v", "GET", "k")
		if keys := w.copies(); keys != 1 {
			t.Errorf("%d copies with N=1", keys)
		}
	})
}

// copies is how many rows all nodes hold together.
func (w *world) copies() (rows int64) {
	for _, m := range w.all {
		rows += m.status().OwnKeys
	}
	return rows
}

// neverJoins starts a node that must not become a member, and looks for a while.
func (m *machine) neverJoins() {
	m.w.t.Helper()
	if err := m.start(); err != nil {
		m.w.t.Fatal(err)
	}
	select {
	case <-m.life.node.Ready():
		m.w.t.Errorf("%s was let in", m.name)
	case <-m.life.node.Failed():
	case <-time.After(30 * time.Second):
	}
}

func TestAWrongSecretLetsNobodyIn(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n1 := w.machine("n1").up()
		w.machine("n2", joining("n1"), func(o *node.Options) { o.Secret = []byte("a guess") }).neverJoins()
		w.machine("n3", joining("n1"), func(o *node.Options) { o.Secret = nil }).neverJoins()
		if st := n1.status(); st.Members != 1 {
			t.Errorf("%d members", st.Members)
		}
	})
}

func TestANodeOfAnotherClusterStaysAStranger(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n1 := w.machine("n1").up()
		other := w.machine("n2").up()
		other.stop()
		other.opts.Join = []string{peerAddr("n1")} // with data, that only adds an address to try
		other.up()
		time.Sleep(30 * time.Second)
		for _, m := range []*machine{n1, other} {
			if st := m.status(); st.Members != 1 || st.Live != 1 {
				t.Errorf("%s has %d members, %d alive", m.name, st.Members, st.Live)
			}
		}
	})
}

func TestARestartNeedsNoJoinAddress(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n1, n2, n3 := w.three()
		do(t, n1.client(), "SET", "k", "v")
		all := []*machine{n1, n2, n3}
		for _, m := range all {
			m.stop()
			m.opts.Join = nil
		}
		for _, m := range all {
			m.up()
		}
		w.together(15*time.Second, all...)
		for _, c := range clients(all...) {
			want(t, c, "v", "GET", "k")
		}
	})
}

func TestANodeMayMove(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n1, n2, n3 := w.three()
		do(t, n1.client(), "SET", "k", "v")
		n2.stop()
		n2.ip = "10.0.0.22"
		n2.opts.Listen, n2.opts.Peer = "10.0.0.22:6380", "10.0.0.22:16380"
		n2.up()
		w.together(15*time.Second, n1, n2, n3)
		w.eventually(15*time.Second, "clients are told the new address", func() string {
			if s := fmt.Sprint(do(t, n1.client(), "CLUSTER", "SLOTS")); !strings.Contains(s, "10.0.0.22") {
				return s
			}
			return ""
		})
	})
}

// A folder that holds data, and not whose or of which cluster, is not taken for an empty one.
func TestAFolderThatLostItsIdentityOrMapIsRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n1 := w.machine("n1").up()
		do(t, n1.client(), "SET", "k", "v")
		n1.stop()
		lose := func(names ...string) func() {
			var back []func() error
			for _, name := range names {
				path := fmt.Sprintf("/data/meta/%x.meta", name)
				if err := n1.disk.Rename(path, path+"x"); err != nil {
					t.Fatal(err)
				}
				back = append(back, func() error { return n1.disk.Rename(path+"x", path) })
			}
			return func() {
				for _, f := range back {
					if err := f(); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		for _, x := range []struct {
			names []string
			says  string
		}{
			{[]string{"map"}, "the ring map is lost"},
			{[]string{"identity"}, "the identity is lost"},
			{[]string{"identity", "map"}, "the identity is lost"},
		} {
			restore := lose(x.names...)
			n1.refused("/data", x.says, "--join")
			restore()
		}
		want(t, n1.up().client(), "v", "GET", "k")
	})
}

func TestAWrongAddressOfAMemberIsRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for _, wrong := range []string{"n1", ":16379", "n1:", "http://n1:1"} {
			m := w.machine("n2", func(o *node.Options) { o.Join = []string{wrong} })
			m.refused("want host:peerport", wrong)
		}
	})
}
