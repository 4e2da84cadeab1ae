package cluster

import (
	"fmt"
	"slices"
	"testing"
)

func TestAReaderOfVersionsGetsAValueAndAContext(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		nodes := clients(w.three())
		do(t, nodes[0], "SET", "k", "v")
		for _, c := range nodes {
			if context, values := versions(t, c, "k"); context == "" || !slices.Equal(values, []string{"v"}) {
				t.Errorf("VGET answers %q and context %q", values, context)
			}
			if context, values := versions(t, c, "nothing"); len(values) != 0 {
				t.Errorf("VGET of a missing key answers %q", values)
			} else {
				want(t, c, 0, "SIBLINGS", "nothing")
				do(t, c, "VSET", "nothing", context, "now something") // a context all the same
				do(t, c, "DEL", "nothing")
			}
		}
	})
}

func TestTwoWritesWithTheSameContextAreSiblingsUntilOneKnowsBoth(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		nodes := clients(w.three())
		do(t, nodes[0], "SET", "k", "v0")
		old, _ := versions(t, nodes[1], "k")
		do(t, nodes[1], "VSET", "k", old, "a")
		do(t, nodes[2], "VSET", "k", old, "b")

		first := do(t, nodes[0], "GET", "k")
		newest := ""
		for _, c := range nodes {
			var values []string
			if newest, values = versions(t, c, "k"); len(values) != 2 || !slices.Contains(values, "a") || !slices.Contains(values, "b") {
				t.Fatalf("VGET answers %q, want a and b", values)
			}
			want(t, c, first, "GET", "k")
			want(t, c, 2, "SIBLINGS", "k")
			want(t, c, 1, "EXISTS", "k")
		}
		if got := infoField(t, nodes[0], "siblings", "siblings_keys"); got != "1" {
			t.Errorf("siblings_keys is %s", got)
		}

		do(t, nodes[2], "VSET", "k", newest, "both")
		for _, c := range nodes {
			if _, values := versions(t, c, "k"); !slices.Equal(values, []string{"both"}) {
				t.Errorf("VGET answers %q", values)
			}
			want(t, c, "both", "GET", "k")
			want(t, c, 1, "SIBLINGS", "k")
		}
	})
}

func TestTheContextOfAWriteCoversThatWriteOnly(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		nodes := clients(w.three())
		a := do(t, nodes[0], "VSET", "k", "", "a")
		do(t, nodes[1], "VSET", "k", "", "b")
		do(t, nodes[2], "VSET", "k", a, "a2") // has seen a, not b
		if _, values := versions(t, nodes[0], "k"); len(values) != 2 || !slices.Contains(values, "a2") || !slices.Contains(values, "b") {
			t.Errorf("VGET answers %q, want a2 and b", values)
		}
	})
}

func TestADeleteWithAContextRemovesWhatItHasSeen(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		nodes := clients(w.three())
		a := do(t, nodes[0], "VSET", "k", "", "a")
		do(t, nodes[1], "VSET", "k", "", "b")
		want(t, nodes[2], 1, "VDEL", "k", a)
		want(t, nodes[0], "b", "GET", "k")
		newest, _ := versions(t, nodes[1], "k")
		want(t, nodes[0], 1, "VDEL", "k", newest)
		want(t, nodes[2], "<nil>", "GET", "k")
	})
}

func TestAPlainWriteReplacesAllSiblings(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		nodes := clients(w.three())
		for i := range 5 {
			do(t, nodes[i%3], "VSET", "k", "", fmt.Sprint(i))
		}
		want(t, nodes[0], 5, "SIBLINGS", "k")
		do(t, nodes[1], "SET", "k", "one")
		for _, c := range nodes {
			want(t, c, 1, "SIBLINGS", "k")
			want(t, c, "one", "GET", "k")
		}
		if got := infoField(t, nodes[2], "siblings", "siblings_keys"); got != "0" {
			t.Errorf("siblings_keys is %s", got)
		}
	})
}

func TestSiblingsAreCapped(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		nodes := clients(w.three())
		for i := range 100 {
			do(t, nodes[i%3], "VSET", "k", "", fmt.Sprint(i))
		}
		wantError(t, nodes[1], "ERR too many siblings", "VSET", "k", "", "one more")
		want(t, nodes[2], "OK", "SET", "k", "v")
		do(t, nodes[1], "VSET", "k", "", "room again")
	})
}

func TestAContextBelongsToItsKeyAndCluster(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n1, n2, _ := w.three()
		a, b := n1.client(), n2.client()
		mine := do(t, a, "VSET", "k", "", "v").(string)
		wantError(t, b, "ERR the context", "VSET", "other", mine, "v")
		wantError(t, b, "ERR the context", "VDEL", "k", mine[:len(mine)-1])
		wantError(t, b, "ERR the context", "VSET", "k", "made up", "v")
		stranger := w.machine("n4").up().client()
		theirs := do(t, stranger, "VSET", "k", "", "v").(string)
		wantError(t, b, "ERR the context", "VSET", "k", theirs, "v")
	})
}
