package resp

import (
	"fmt"
	"strings"
	"testing"

	"shoal/wire"
)

// Commands on more keys than a vector holds answer like those on few, repeated keys included.
func TestCommandsOnManyKeys(t *testing.T) {
	b := newCmdBackend()
	c := cmdConnect(t, b)
	const n = 3 * vectorOps
	var pairs, keys, values strings.Builder
	for i := range n {
		fmt.Fprintf(&pairs, " k%d v%d", i, i)
		fmt.Fprintf(&keys, " k%d", i)
		fmt.Fprintf(&values, "\"v%d\" ", i)
	}
	c.dialogue([]cmdCase{
		{"MSET" + pairs.String() + " k0 again", "+OK"},
		{"GET k0", `"again"`},
		{"SET k0 v0", "+OK"},
		{"MGET" + keys.String() + " k1 none", "[" + values.String() + `"v1" nil]`},
		{"EXISTS" + keys.String() + " k1 none", fmt.Sprint(":", n+1)},
		{"DEL" + keys.String() + " k1 none", fmt.Sprint(":", n)},
		{"EXISTS" + keys.String(), ":0"},
	})
	b.fails["fail:unsure"] = wire.Result{Status: wire.Uncertain, Reached: 1, Wanted: 2}
	b.fails["fail:none"] = wire.Result{Status: wire.NoReplicas}
	few := c.ask("DEL fail:none fail:unsure")
	if many := c.ask("DEL fail:none" + keys.String() + " fail:unsure"); many != few || few[0] != '-' {
		t.Errorf("failing: %q, with few keys %q", many, few)
	}
}
