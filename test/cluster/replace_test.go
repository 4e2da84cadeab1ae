package cluster

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// wipe kills the node and empties its disk.
func (m *machine) wipe() {
	m.kill()
	m.disk = vfs.NewCrashableMem()
}

// filled waits until every replica of the machines is whole and, in the eyes of each, nothing is being filled.
func (w *world) filled(within time.Duration, machines ...*machine) {
	w.t.Helper()
	w.whole(within, machines...)
	w.eventually(within, "nothing is being filled", func() string {
		for _, m := range machines {
			if left := infoField(w.t, m.client(), "ring", "ring_pending_transfers"); left != "0" {
				return fmt.Sprintf("%s: %s transfers are pending", m.name, left)
			}
		}
		return ""
	})
}

// A disk is lost: the node comes back under its name with an empty folder, takes the place of what it was, and is filled.
// Then the others are killed, and it alone answers every key right.
func TestALostDiskIsReplacedAndFilled(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n1, n2, n3 := w.three()
		const keys = 300
		for i := range keys {
			want(t, n1.client(), "OK", "SET", fmt.Sprint("k", i), i)
		}
		want(t, n1.client(), 1, "DEL", "k7")
		time.Sleep(10 * time.Second)
		old := n2.status().ID
		n2.wipe()
		for i := range 20 {
			want(t, n1.client(), "OK", "SET", fmt.Sprint("meanwhile", i), i)
		}
		joining("n1")(&n2.opts)
		n2.up()
		w.together(5*time.Second, n1, n2, n3)
		if st := n2.status(); st.ID == old || st.Members != 3 {
			t.Fatalf("%d members, and the id before and after the loss is %s, %s", st.Members, old, st.ID)
		}
		w.filled(20*time.Second, n1, n2, n3)
		time.Sleep(6 * time.Second)
		for _, line := range []string{"replicas lack what the other owners have", "the replicas are filled"} {
			if n := strings.Count(w.logs.String(), line); n != 1 {
				t.Errorf("%d lines say: %s", n, line)
			}
		}
		n1.kill()
		n3.kill()
		time.Sleep(3 * time.Second)
		c := n2.client()
		for i := range keys {
			if i == 7 {
				want(t, c, nil, "GET", "k7")
				continue
			}
			want(t, c, fmt.Sprint(i), "GET", fmt.Sprint("k", i))
		}
		for i := range 20 {
			want(t, c, fmt.Sprint(i), "GET", fmt.Sprint("meanwhile", i))
		}
	})
}

// While the member that has the name is alive, nobody takes its place.
func TestTheNameOfALivingMemberIsRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		_, n2, _ := w.three()
		thief := w.machine("n4", joining("n1"))
		thief.opts.Name = "n2"
		thief.refused(`"n2"`, "alive", "folder")
		if n2.status().Live != 3 {
			t.Fatal("the member is gone")
		}
	})
}

// A member that is only cut off keeps its place: its address does not refuse. Once it does, the place is free.
func TestAMemberThatIsCutOffIsNotReplaced(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n1, n2, n3 := w.three()
		for _, m := range []*machine{n1, n3} {
			w.net.CutBoth(n2.ip, m.ip)
		}
		time.Sleep(3 * time.Second)
		thief := w.machine("n4", joining("n1"))
		thief.opts.Name = "n2"
		if err := thief.start(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-thief.life.node.Ready():
			t.Fatal("a member that is cut off was replaced")
		case err := <-thief.life.node.Failed():
			t.Fatalf("gives up instead of waiting: %v", err)
		case <-time.After(time.Minute):
		}
		n2.kill()
		w.net.HealAll()
		thief.ready(30 * time.Second)
		w.together(5*time.Second, n1, n3, thief)
	})
}

// Who was replaced while it was away is told so, and ends: it must not answer from its old rows.
func TestWhoWasReplacedEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n1, n2, n3 := w.three()
		n2.kill()
		old := n2.disk
		n2.disk = vfs.NewCrashableMem()
		joining("n1")(&n2.opts)
		n2.up()
		w.together(5*time.Second, n1, n2, n3)
		n2.kill()
		n2.disk = old
		if err := n2.start(); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-n2.life.node.Failed():
			if !strings.Contains(err.Error(), "no longer a member") {
				t.Fatalf("ends with: %v", err)
			}
		case <-time.After(500 * time.Millisecond): // what it answers until then may be old
			t.Fatal("goes on")
		}
		n2.stop()
	})
}

// A store that cannot be read at all is put aside, and the node, which keeps its identity, is filled from the others.
func TestAStoreBeyondReadingIsFilledAnew(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n1, n2, n3 := w.three()
		for i := range 100 {
			want(t, n1.client(), "OK", "SET", fmt.Sprint("k", i), i)
		}
		id := n2.status().ID
		n2.kill()
		names, err := n2.disk.List("/data/rows")
		if err != nil {
			t.Fatal(err)
		}
		damaged := 0
		for _, name := range names {
			if strings.HasPrefix(name, "MANIFEST") || strings.HasSuffix(name, ".sst") {
				n2.overwrite("/data/rows/" + name)
				damaged++
			}
		}
		if damaged == 0 {
			t.Fatalf("nothing to damage among %v", names)
		}
		n2.up()
		w.together(5*time.Second, n1, n2, n3)
		w.filled(20*time.Second, n1, n2, n3)
		if st := n2.status(); st.ID != id || st.Refill.Ended == 0 {
			t.Fatalf("identity %s, was %s; %d replicas filled", st.ID, id, st.Refill.Ended)
		}
		n1.kill()
		n3.kill()
		time.Sleep(3 * time.Second)
		for i := range 100 {
			want(t, n2.client(), fmt.Sprint(i), "GET", fmt.Sprint("k", i))
		}
	})
}

// overwrite puts other bytes in the place of a file.
func (m *machine) overwrite(name string) {
	f, err := m.disk.Create(name, vfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = f.Write([]byte("not what was written here, but long enough to be looked at by whoever reads it"))
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		m.w.t.Fatal(err)
	}
}
