package main

import (
	"context"
	"errors"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestOutcomeOf(t *testing.T) {
	for text, want := range map[string]outcome{
		"NOREPLICAS Not enough good replicas to write.": refused,
		"TRYAGAIN moving":                         refused,
		"LOADING no map yet":                      refused,
		"CLUSTERDOWN The cluster is down":         refused,
		"MISCONF the disk is full":                refused,
		"UNCERTAIN write reached 1 of 2 replicas": unknown,
		"ERR something else":                      unknown,
	} {
		if got := outcomeOf(serverError(text)); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	for _, c := range []struct {
		err  error
		want outcome
	}{
		{nil, acknowledged},
		{errors.New("NOREPLICAS said by nobody"), unknown},
		{context.DeadlineExceeded, unknown},
		{&net.OpError{Op: "read", Err: errors.New("i/o timeout")}, unknown},
		{&net.OpError{Op: "dial", Err: errors.New("connection refused")}, refused},
	} {
		if got := outcomeOf(c.err); got != c.want {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
}

// serverError is an error as go-redis gives what a server said.
type serverError string

// Error is the server's text.
func (e serverError) Error() string { return string(e) }

// RedisError marks it for go-redis.
func (serverError) RedisError() {}

func TestWrongUnique(t *testing.T) {
	right := uniqueValue(7)
	for _, c := range []struct {
		outcome outcome
		value   string
		present bool
		ok      bool
	}{
		{acknowledged, right, true, true},
		{acknowledged, "", false, false},
		{acknowledged, "other", true, false},
		{unknown, right, true, true},
		{unknown, "", false, true},
		{unknown, uniqueValue(8), true, false},
		{refused, "", false, true},
		{refused, right, true, false},
	} {
		if what := wrongUnique(7, c.outcome, c.value, c.present); (what == "") != c.ok {
			t.Errorf("%v, reads %q %v: %q", c.outcome, c.value, c.present, what)
		}
	}
}

func TestWrongSet(t *testing.T) {
	tried := map[string]outcome{"a": acknowledged, "b": acknowledged, "u": unknown, "r": refused}
	for got, want := range map[string]int{"a,b": 0, "a,b,u": 0, "a": 1, "": 2, "a,b,r": 1, "a,b,x": 1, "u,r,x": 4} {
		if wrong := wrongSet(tried, strings.FieldsFunc(got, func(r rune) bool { return r == ',' })); len(wrong) != want {
			t.Errorf("%q: %q, want %d", got, wrong, want)
		}
	}
	if got := elements([]string{"b,a", "c,a"}); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("joined: %q", got)
	}
}

// TestShownStays: an element or key that was read once may not go, whatever its write answered.
func TestShownStays(t *testing.T) {
	g := &growSets{sets: []*growSet{{elements: map[string]outcome{"u": unknown, "v": unknown}, shown: []string{"u", "stranger"}}}}
	g.settle()
	if want := map[string]outcome{"u": acknowledged, "v": unknown}; !reflect.DeepEqual(g.sets[0].elements, want) {
		t.Errorf("%v", g.sets[0].elements)
	}
	u := newUniqueKeys()
	u.outcomes, u.shown = []outcome{unknown, unknown}, map[int]bool{1: true}
	u.settle()
	if want := []outcome{unknown, acknowledged}; !slices.Equal(u.outcomes, want) {
		t.Errorf("%v", u.outcomes)
	}
}

func TestUnequal(t *testing.T) {
	same, other := digest{3, "abc"}, digest{3, "abd"}
	owners := [][]int{{0, 1, 2}, {2, 0, 1}}
	node := func(a, b digest) map[int64]digest { return map[int64]digest{0: a, 1: b} }
	for name, c := range map[string]struct {
		nodes []map[int64]digest
		want  []int64
	}{
		"equal":                   {[]map[int64]digest{node(same, other), node(same, other), node(same, other)}, nil},
		"one hash differs":        {[]map[int64]digest{node(same, same), node(same, same), node(same, other)}, []int64{1}},
		"the first differs":       {[]map[int64]digest{node(other, same), node(same, same), node(same, same)}, []int64{0}},
		"one count differs":       {[]map[int64]digest{node(same, same), node(digest{4, "abc"}, same), node(same, same)}, []int64{0}},
		"an owner lacks it":       {[]map[int64]digest{node(same, same), {0: same}, node(same, same)}, []int64{1}},
		"the first lacks it":      {[]map[int64]digest{{0: same}, node(same, same), {0: same}}, []int64{1}},
		"who is no owner differs": {[]map[int64]digest{node(same, same), node(same, same), node(same, same), node(other, other)}, nil},
	} {
		if got := unequal(c.nodes, owners); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestWrongSiblings(t *testing.T) {
	values := [3]string{"old", "left", "right"}
	for _, c := range []struct {
		left, right outcome
		siblings    string
		ok          bool
	}{
		{acknowledged, acknowledged, "left right", true},
		{acknowledged, acknowledged, "left", false},
		{acknowledged, acknowledged, "old left right", false},
		{acknowledged, refused, "left", true},
		{acknowledged, refused, "left right", false},
		{acknowledged, unknown, "left right", true},
		{acknowledged, unknown, "left", true},
		{acknowledged, unknown, "right", false},
		{refused, refused, "old", true},
		{refused, refused, "", false},
		{unknown, unknown, "old", true},
		{unknown, unknown, "right", true},
		{unknown, unknown, "strange", false},
	} {
		if what := wrongSiblings(values, [2]outcome{c.left, c.right}, strings.Fields(c.siblings)); (what == "") != c.ok {
			t.Errorf("%v and %v, reads %q: %q", c.left, c.right, c.siblings, what)
		}
	}
}

func TestShelfWrong(t *testing.T) {
	s := newShelf(2, 100)
	if len(s.value(0, 1)) != 100 || s.value(0, 1) == s.value(0, 2) || s.value(0, 1) == s.value(1, 1) {
		t.Error("values are no good")
	}
	s.acknowledged[0], s.unknown[0] = 2, []int32{3}
	for _, c := range []struct {
		key     int
		value   string
		present bool
		ok      bool
	}{
		{0, s.value(0, 2), true, true},
		{0, s.value(0, 3), true, true},
		{0, s.value(0, 1), true, false},
		{0, s.value(1, 2), true, false},
		{0, "", false, false},
		{1, "", false, true},
		{1, s.value(1, 1), true, false},
	} {
		if what := s.wrong(c.key, c.value, c.present); (what == "") != c.ok {
			t.Errorf("key %d reads %.20q %v: %q", c.key, c.value, c.present, what)
		}
	}
}

func TestNumbers(t *testing.T) {
	got := numbers("# Ring\r\nring_live:3\r\nrole:master\r\nage:-1\r\n\r\n")
	if want := map[string]int64{"ring_live": 3, "age": -1}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
}

func TestReadKinds(t *testing.T) {
	if got, err := readKinds("kill,cut"); err != nil || !slices.Equal(got, []string{"kill", "cut"}) {
		t.Errorf("%v %v", got, err)
	}
	if _, err := readKinds("kill,burn"); err == nil {
		t.Error("burn is a fault")
	}
}
