package ring

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

var testCluster = ClusterID{1, 2, 3}

// grown returns a map of size members, n replicas and q partitions.
func grown(t testing.TB, n, q, size int) *Map {
	t.Helper()
	m := Found(testCluster, [32]byte{9}, n, q, member(NodeID(mix(1)), "", 1))
	for i := 2; i <= size; i++ {
		next, err := m.WithMember(member(NodeID(mix(uint64(i))), "", 1))
		if err != nil {
			t.Fatal(err)
		}
		m = next
	}
	return m
}

func TestAFoundedClusterIsOneNodeThatOwnsEverything(t *testing.T) {
	first := member(7, "", 0)
	m := Found(testCluster, [32]byte{9}, 3, 256, first)
	if m.Epoch != 1 || len(m.Owners) != 256 {
		t.Fatalf("epoch %d, %d partitions", m.Epoch, len(m.Owners))
	}
	for p := range m.Owners {
		if !slices.Equal(m.OwnersOf(Partition(p)), []NodeID{7}) || len(m.Fallbacks(Partition(p))) != 0 {
			t.Fatalf("partition %d: %v", p, m.Owners[p])
		}
	}
	if got, ok := m.Member(7); !ok || got.Weight != 1 {
		t.Errorf("Member(7) = %+v, %v: want the default weight 1", got, ok)
	}
	if _, ok := m.Member(8); ok {
		t.Error("a stranger is a member")
	}
}

func TestWithMemberMakesANewMapAndLeavesTheOld(t *testing.T) {
	old := grown(t, 3, 64, 4)
	before := old.Append(nil)
	next, err := old.WithMember(member(99, "z", 2))
	if err != nil || next.Epoch != old.Epoch+1 || len(next.Members) != 5 {
		t.Fatalf("%+v, %v", next, err)
	}
	if err := next.validate(); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(before, old.Append(nil)) {
		t.Error("the old map changed")
	}
}

func TestWithMemberRefuses(t *testing.T) {
	m := grown(t, 3, 64, 2)
	good := member(99, "", 1)
	for why, c := range map[string]struct {
		change func(*Member)
		want   error
	}{
		"id known":        {func(x *Member) { x.ID = m.Members[0].ID }, ErrKnownID},
		"name known":      {func(x *Member) { x.Name = m.Members[0].Name }, ErrKnownName},
		"no id":           {func(x *Member) { x.ID = 0 }, ErrBadMember},
		"no name":         {func(x *Member) { x.Name = "" }, ErrBadMember},
		"name with blank": {func(x *Member) { x.Name = "a b" }, ErrBadMember},
		"long name":       {func(x *Member) { x.Name = strings.Repeat("a", MaxName+1) }, ErrBadMember},
		"no port":         {func(x *Member) { x.Client = "host" }, ErrBadMember},
		"port 0":          {func(x *Member) { x.Peer = "host:0" }, ErrBadMember},
		"port too big":    {func(x *Member) { x.Peer = "host:65536" }, ErrBadMember},
		"newline":         {func(x *Member) { x.Peer = "ho\nst:1" }, ErrBadMember},
		"zone":            {func(x *Member) { x.Zone = "a,b" }, ErrBadMember},
		"weight":          {func(x *Member) { x.Weight = MaxWeight + 1 }, ErrBadMember},
	} {
		bad := good
		c.change(&bad)
		if _, err := m.WithMember(bad); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", why, err, c.want)
		}
	}
	six := good
	six.Client = "[::1]:6379"
	if _, err := m.WithMember(six); err != nil {
		t.Error(err)
	}
}

func TestThePreferenceListIsEveryMemberOnce(t *testing.T) {
	m := grown(t, 3, 64, 7)
	leads := map[NodeID]bool{}
	for p := range m.Owners {
		part := Partition(p)
		list := append(slices.Clone(m.OwnersOf(part)), m.Fallbacks(part)...)
		for i, id := range list {
			if want := i; i < 3 && m.Position(part, id) != want || i >= 3 && m.Position(part, id) != -1 {
				t.Fatalf("partition %d: position of %v is %d", p, id, m.Position(part, id))
			}
		}
		leads[list[3]] = true
		slices.Sort(list)
		if len(slices.Compact(list)) != 7 {
			t.Fatalf("partition %d: %v", p, list)
		}
	}
	if len(leads) != 7 {
		t.Errorf("only %d nodes are ever the first fallback", len(leads))
	}
}

func TestAMapSurvivesItsEncoding(t *testing.T) {
	for size := 1; size <= 6; size++ {
		m := grown(t, 3, 256, size)
		b := m.Append([]byte("x"))[1:]
		got, err := DecodeMap(b)
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Fatalf("%d members: %+v, %v", size, got, err)
		}
		for cut := range b {
			if _, err := DecodeMap(b[:cut]); !errors.Is(err, ErrDamaged) {
				t.Fatalf("cut at %d: %v", cut, err)
			}
		}
		if _, err := DecodeMap(append(slices.Clone(b), 0)); !errors.Is(err, ErrDamaged) {
			t.Errorf("one byte more: %v", err)
		}
	}
}

func TestDecodeMapValidates(t *testing.T) {
	for why, spoil := range map[string]func(*Map){
		"epoch 0":        func(m *Map) { m.Epoch = 0 },
		"no cluster":     func(m *Map) { m.Cluster = ClusterID{} },
		"N 0":            func(m *Map) { m.N = 0 },
		"N too big":      func(m *Map) { m.N = MaxN + 1 },
		"Q odd":          func(m *Map) { m.Q = 63 },
		"a move":         func(m *Map) { m.Step = 1 },
		"no members":     func(m *Map) { m.Members = nil },
		"members order":  func(m *Map) { slices.Reverse(m.Members) },
		"one name twice": func(m *Map) { m.Members[0].Name = m.Members[1].Name },
		"weight 0":       func(m *Map) { m.Members[0].Weight = 0 },
		"owner twice":    func(m *Map) { m.Owners[5][0] = m.Owners[5][1] },
		"short list":     func(m *Map) { m.Owners[5] = m.Owners[5][:2] },
	} {
		m, _ := DecodeMap(grown(t, 3, 64, 4).Append(nil))
		spoil(m)
		if got, err := DecodeMap(m.Append(nil)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %+v, %v", why, got, err)
		}
	}
}

func TestTheBiggestMapFits(t *testing.T) {
	pad := func(s string, n int) string { return s + strings.Repeat("a", n-len(s)) }
	m := &Map{Cluster: testCluster, Epoch: 1, N: MaxN, Q: Slots}
	for i := range MaxMembers {
		x := member(NodeID(i+1), pad("z", MaxName), 1)
		x.Name = pad(x.Name+"-", MaxName)
		x.Client = pad("h", MaxAddress-6) + ":65535"
		x.Peer = x.Client
		m.Members = append(m.Members, x)
	}
	for range Slots {
		var list []NodeID
		for i := range MaxN {
			list = append(list, NodeID(i+1))
		}
		m.Owners = append(m.Owners, list)
	}
	b := m.Append(nil)
	if len(b) > MaxMapBytes {
		t.Fatalf("%d bytes", len(b))
	}
	if _, err := DecodeMap(b); err != nil {
		t.Error(err)
	}
}

func TestNodeIDHex(t *testing.T) {
	if got := NodeID(42).Hex(); got != "acc8ab6be9a9c010ef66cf0e247393ab26096e1d" { // by sha1sum
		t.Errorf("%q", got)
	}
}

func FuzzDecodeMap(f *testing.F) {
	f.Add(grown(f, 3, 4, 1).Append(nil))
	f.Add(grown(f, 2, 16, 5).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := DecodeMap(b)
		if err != nil {
			return
		}
		if !bytes.Equal(m.Append(nil), b) {
			t.Fatal("two encodings of one map")
		}
		if err := m.validate(); err != nil {
			t.Fatal(err)
		}
		for p := range m.Owners {
			m.Fallbacks(Partition(p))
		}
	})
}

func FuzzDecodeAgreement(f *testing.F) {
	v := []byte("some value")
	b := Ballot{3, 7}
	f.Add(AgreeMsg{Kind: AgreePromise, Epoch: 2, Ballot: b, Other: b, Value: v}.Append(nil))
	f.Add(AgreeMsg{Kind: AgreeDecided, Epoch: 2, Value: v}.Append(nil))
	f.Add(AcceptorState{Epoch: 2, Promised: b, Accepted: b, Value: v}.Append(nil))
	m := grown(f, 3, 4, 3)
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := DecodeAcceptorState(b); err == nil && !bytes.Equal(s.Append(nil), b) {
			t.Fatal("two encodings of one state")
		}
		msg, err := DecodeAgreeMsg(b)
		if err != nil {
			return
		}
		if !bytes.Equal(msg.Append(nil), b) {
			t.Fatal("two encodings of one message")
		}
		for _, from := range m.Members {
			NewAgreement(m.Members[0].ID, m, AcceptorState{}, 1).Step(0, from.ID, msg)
		}
	})
}
