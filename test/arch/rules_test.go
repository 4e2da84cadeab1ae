package arch

import (
	"os"
	"strings"
	"testing"
)

// module is the import path of the repository's root.
const module = "shoal"

// floors is the import order, ground floor first. A package imports only packages of lower floors, so packages of one
// floor never import each other: coord, handoff and antientropy meet in node, and resp and console declare the
// interfaces they need instead of importing it. A package that is not listed has no place yet; give it one here.
//
// The top floor is cmd/* and test/*. Nothing under test is imported, with two exceptions: packages under test import
// each other, and the binary may carry the simulator (topFloor).
var floors = [][]string{
	{"causal", "ring"},
	{"wire"},
	{"wire/loop"},
	{"engine", "resp", "console", "ring/gossip"},
	{"wire/tcp", "coord", "handoff", "antientropy"},
	{"node"},
}

// topFloor says which packages of the top floor may be imported from where (both are prefixes of whole path elements).
var topFloor = []struct{ importer, imported string }{
	{"test", "test"},
	{"cmd", "test/sim"},
}

// pure packages are values in, values out. Time comes in as a number, chance as a seed; effects go out as values.
// That makes a whole cluster replayable from one seed. They import pure packages only.
var pure = []string{"causal", "ring", "wire", "coord", "handoff", "antientropy"}

// impureImports are the standard packages a pure package must not import, each with everything below it.
var impureImports = []struct{ path, why string }{
	{"crypto/rand", "chance comes in as a seed"},
	{"hash/maphash", "its seed differs from run to run"},
	{"log", "it writes; return what is worth telling"},
	{"math/rand", "chance comes in as a seed"},
	{"net", "no input or output"},
	{"os", "no input or output"},
	{"reflect", "it walks maps in no order"},
	{"runtime", "it sees goroutines and finalizers"},
	{"sync", "no locks: one caller owns the value"},
	{"syscall", "no input or output"},
	{"time", "time comes in as now int64, unix ms"},
	{"unsafe", "bytes decoded from peers must not reach it"},
}

// pureThirdParty are the packages of others that pure code may import: they are pure themselves.
var pureThirdParty = []string{"github.com/cespare/xxhash/v2"}

// orderFree is the comment that allows a walk over a map in pure code, on the line of the walk. After it stands why the
// order cannot reach what the package returns.
const orderFree = "// order-free: "

// maxLines is the longest a file may be. It is reported as a failure so that a god file is seen while it is young.
const maxLines = 600

// sleepers are the folders whose tests may call time.Sleep: chaos waits for real processes, and all of cluster runs in
// testing/synctest bubbles, where time is virtual. Elsewhere a sleeping test is slow and flaky at once, except in a
// file that imports testing/synctest itself.
var sleepers = []string{"test/chaos", "test/cluster"}

// rules is every rule, with the name that failures and the self-test use.
var rules = []rule{
	{"place", "a package stands on a floor", checkPlace},
	{"order", "a package imports only packages of lower floors", checkOrder},
	{"pure-imports", "a pure package imports only pure packages", checkPureImports},
	{"pure-goroutine", "a pure package has no go statement, no select and no channel", checkPureGoroutine},
	{"pure-print", "a pure package prints nothing", checkPurePrint},
	{"pure-map-order", "a pure package walks a map only where the order is free", checkPureMapOrder},
	{"doc", "a package says in doc.go what it is", checkDoc},
	{"length", "a file has at most 600 lines", checkLength},
	{"sleep", "a test does not sleep", checkSleep},
}

// TestHouse applies every rule to the repository.
func TestHouse(t *testing.T) {
	h, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if len(h.packages) < 2 {
		t.Fatalf("only %d packages found: the rules looked at nothing", len(h.packages))
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			if broken := r.check(h); len(broken) > 0 {
				t.Errorf("%s:\n\t%s", r.says, strings.Join(broken, "\n\t"))
			}
		})
	}
}
