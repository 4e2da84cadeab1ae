package ring

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

func TestAReplacementTakesEveryPlaceOfTheOldMember(t *testing.T) {
	m := grown(t, 3, 64, 5)
	before := m.Append(nil)
	for _, old := range m.Members {
		add := old
		add.ID = NodeID(mix(77)) // same name, same addresses
		next, err := m.WithReplacement(old.ID, add)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.checkNext(next); err != nil {
			t.Fatalf("cannot follow: %v", err)
		}
		if _, ok := next.Member(old.ID); ok || len(next.Members) != 5 || next.Epoch != m.Epoch+1 {
			t.Fatalf("%+v", next.Members)
		}
		for p := range m.Owners {
			want := slices.Clone(m.Owners[p])
			for i := range want {
				if want[i] == old.ID {
					want[i] = add.ID
				}
			}
			if !slices.Equal(next.Owners[p], want) {
				t.Fatalf("partition %d: %v, want %v", p, next.Owners[p], want)
			}
		}
		again, err := DecodeMap(next.Append(nil))
		if err != nil || !bytes.Equal(again.Append(nil), next.Append(nil)) {
			t.Fatalf("not the same after a round trip: %v", err)
		}
	}
	if !bytes.Equal(before, m.Append(nil)) {
		t.Error("the old map changed")
	}
}

func TestWithReplacementRefuses(t *testing.T) {
	m := grown(t, 3, 64, 3)
	old := m.Members[0].ID
	good := member(99, "", 1)
	for why, c := range map[string]struct {
		old    NodeID
		change func(*Member)
		want   error
	}{
		"stranger":        {98, func(*Member) {}, ErrUnknownID},
		"itself":          {old, func(x *Member) { x.ID = old }, ErrKnownID},
		"by a member":     {old, func(x *Member) { x.ID = m.Members[1].ID }, ErrKnownID},
		"another's name":  {old, func(x *Member) { x.Name = m.Members[1].Name }, ErrKnownName},
		"no name":         {old, func(x *Member) { x.Name = "" }, ErrBadMember},
		"no id":           {old, func(x *Member) { x.ID = 0 }, ErrBadMember},
		"address of none": {old, func(x *Member) { x.Peer = "h" }, ErrBadMember},
	} {
		bad := good
		c.change(&bad)
		if _, err := m.WithReplacement(c.old, bad); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", why, err, c.want)
		}
	}
}

// One replacement an epoch: two at once could leave majorities that share no member.
func TestTwoReplacementsAreNotOneEpoch(t *testing.T) {
	m := grown(t, 3, 4, 5)
	next, err := m.WithReplacement(m.Members[0].ID, member(98, "", 1))
	if err != nil {
		t.Fatal(err)
	}
	last, err := next.WithReplacement(m.Members[1].ID, member(99, "", 1))
	if err != nil {
		t.Fatal(err)
	}
	last.Epoch--
	if err := m.checkNext(last); !errors.Is(err, ErrBadSuccessor) {
		t.Fatalf("%v", err)
	}
}
