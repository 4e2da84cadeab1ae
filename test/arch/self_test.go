package arch

import (
	"fmt"
	"path"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// tree makes a small house. Every package gets a proper doc.go unless the case brings its own.
func tree(sources map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, source := range sources {
		if dir := path.Dir(name); path.Ext(name) == ".go" && !strings.HasPrefix(source, "package main") {
			doc := fmt.Sprintf("// Package %[1]s is a sample.\npackage %[1]s\n", path.Base(dir))
			m[path.Join(dir, "doc.go")] = &fstest.MapFile{Data: []byte(doc)}
		}
	}
	for name, source := range sources {
		m[name] = &fstest.MapFile{Data: []byte(source)}
	}
	return m
}

// body is a file of the package with these imports and one function around the statements.
func body(pkgName, statements string, imports ...string) string {
	source := "package " + pkgName + "\n\n"
	for _, i := range imports {
		source += "import " + strconv.Quote(i) + "\n"
	}
	return source + "func f(m map[string]int, s []int, keep func(string, int)) {\n" + statements + "\n}\n"
}

// self is, for each rule, sources that keep it and sources that break it. `breaks` is empty, or a part of the message.
var self = []struct {
	rule    string
	what    string
	sources map[string]string
	breaks  string
}{
	{"place", "a known package", map[string]string{"causal/a.go": "package causal"}, ""},
	{"place", "an adapter that is listed", map[string]string{"ring/gossip/a.go": "package gossip"}, ""},
	{"place", "a new top-level folder", map[string]string{"util/a.go": "package util"}, "util: has no floor"},
	{"place", "a new folder inside one", map[string]string{"engine/lsm/a.go": "package lsm"}, "engine/lsm: has no floor"},
	{"place", "a package at the root", map[string]string{"a.go": "package main"}, ".: has no floor"},
	{"place", "ignored folders", map[string]string{"node/testdata/a.go": "package x", ".ci/a.go": "package x"}, ""},

	{"order", "downward", map[string]string{"node/a.go": `package node; import _ "shoal/coord"`}, ""},
	{"order", "up", map[string]string{"resp/a.go": `package resp; import _ "shoal/node"`}, "resp/a.go:1: resp imports node"},
	{"order", "across", map[string]string{"coord/a.go": `package coord; import _ "shoal/handoff"`}, "coord imports handoff"},
	{"order", "the ground floor", map[string]string{"ring/a.go": `package ring; import _ "shoal/causal"`}, "ring imports causal"},
	{"order", "a test file is free", map[string]string{"resp/a_test.go": `package resp; import _ "shoal/node"`}, ""},
	{"order", "test imports anything", map[string]string{"test/sim/a.go": `package sim; import (_ "shoal/node"; _ "shoal/test/check")`}, ""},
	{"order", "the binary carries the simulator", map[string]string{"cmd/shoal/a.go": `package main; import _ "shoal/test/sim"`}, ""},
	{"order", "and nothing else of test", map[string]string{"cmd/shoal/a.go": `package main; import _ "shoal/test/simple"`}, "cmd/shoal imports test/simple"},
	{"order", "nobody imports test", map[string]string{"node/a.go": `package node; import _ "shoal/test/sim"`}, "node imports test/sim"},
	{"order", "nobody imports cmd", map[string]string{"test/sim/a.go": `package sim; import _ "shoal/cmd/shoal"`}, "test/sim imports cmd/shoal"},

	{"pure-imports", "harmless ones", map[string]string{"wire/a.go": `package wire; import (_ "bytes"; _ "shoal/causal"; _ "github.com/cespare/xxhash/v2")`}, ""},
	{"pure-imports", "time", map[string]string{"coord/a.go": `package coord; import _ "time"`}, "coord imports time: time comes in"},
	{"pure-imports", "below a banned one", map[string]string{"causal/a.go": `package causal; import _ "sync/atomic"`}, "causal imports sync/atomic"},
	{"pure-imports", "chance", map[string]string{"ring/a.go": `package ring; import _ "math/rand/v2"`}, "ring imports math/rand/v2"},
	{"pure-imports", "a name that only begins alike", map[string]string{"ring/a.go": `package ring; import _ "math/bits"`}, ""},
	{"pure-imports", "an impure package of ours", map[string]string{"coord/a.go": `package coord; import _ "shoal/engine"`}, "coord imports shoal/engine: not a pure package"},
	{"pure-imports", "a stranger", map[string]string{"wire/a.go": `package wire; import _ "github.com/tidwall/redcon"`}, "not among the third-party"},
	{"pure-imports", "an adapter is free", map[string]string{"wire/tcp/a.go": `package tcp; import _ "net"`}, ""},
	{"pure-imports", "a test file is free", map[string]string{"coord/a_test.go": `package coord; import _ "time"`}, ""},

	{"pure-goroutine", "none", map[string]string{"handoff/a.go": body("handoff", "f(m, s, keep)")}, ""},
	{"pure-goroutine", "go", map[string]string{"handoff/a.go": body("handoff", "go f(m, s, keep)")}, "handoff/a.go:4: go statement"},
	{"pure-goroutine", "select", map[string]string{"wire/a.go": body("wire", "select {}")}, "select"},
	{"pure-goroutine", "channel", map[string]string{"ring/a.go": "package ring; type T struct{ c chan int }"}, "channel"},

	{"pure-print", "a string", map[string]string{"ring/a.go": `package ring; import "fmt"; func f() string { return fmt.Sprint(1) }`}, ""},
	{"pure-print", "to standard output", map[string]string{"ring/a.go": `package ring; import "fmt"; func f() { fmt.Println(1) }`}, "fmt.Println"},
	{"pure-print", "to standard error", map[string]string{"ring/a.go": body("ring", "println(1)")}, "println"},

	{"pure-map-order", "a slice", map[string]string{"causal/a.go": body("causal", "for range s {}")}, ""},
	{"pure-map-order", "a map", map[string]string{"causal/a.go": body("causal", "for range m {}")}, "causal/a.go:4: range over a map"},
	{"pure-map-order", "a map with its reason", map[string]string{"causal/a.go": body("causal", "for range m { // order-free: a sum\n}")}, ""},
	{"pure-map-order", "a reason left out", map[string]string{"causal/a.go": body("causal", "for range m { // order-free: \n}")}, "range over a map"},
	{"pure-map-order", "a map behind a name", map[string]string{"ring/a.go": "package ring; type T map[int]int; func f(t T) { for range t {} }"}, "range over a map"},
	{"pure-map-order", "a map behind a type parameter", map[string]string{"ring/a.go": "package ring; func f[M ~map[int]int](m M) { for range m {} }"}, "range over a map"},
	{"pure-map-order", "a map of another package", map[string]string{
		"causal/a.go": "package causal; type T struct{ M map[int]int }",
		"wire/a.go":   `package wire; import "shoal/causal"; func f(t causal.T) { for range t.M {} }`,
	}, "wire/a.go:1: range over a map"},
	{"pure-map-order", "beside a third-party package", map[string]string{"ring/a.go": body("ring", "_ = xxhash.Sum64(nil); for range m {}", "github.com/cespare/xxhash/v2")}, "ring/a.go:5: range over a map"},
	{"pure-map-order", "keys unsorted", map[string]string{"ring/a.go": body("ring", "for k := range maps.Keys(m) { keep(k, 0) }", "maps")}, "maps.Keys"},
	{"pure-map-order", "keys sorted", map[string]string{"ring/a.go": body("ring", "for _, k := range slices.Sorted(maps.Keys(m)) { keep(k, 0) }", "maps", "slices")}, ""},
	{"pure-map-order", "in a planted bug", map[string]string{
		"coord/a.go": "//go:build !planted\n\npackage coord; func f(m map[int]int) {}",
		"coord/b.go": "//go:build planted\n\npackage coord; func f(m map[int]int) { for range m {} }",
	}, "coord/b.go:3: range over a map"},
	{"pure-map-order", "outside pure code", map[string]string{"node/a.go": body("node", "for range m {}")}, ""},
	{"pure-map-order", "code that cannot be judged", map[string]string{"ring/a.go": body("ring", "for range nothing {}")}, "undefined: nothing"},

	{"doc", "a comment", map[string]string{"node/doc.go": "// Package node is a sample.\npackage node"}, ""},
	{"doc", "no doc.go", map[string]string{"cmd/shoal/main.go": "package main"}, "cmd/shoal: no doc.go"},
	{"doc", "no comment in it", map[string]string{"node/doc.go": "package node"}, "node/doc.go: its comment"},
	{"doc", "a command", map[string]string{"cmd/shoal/doc.go": "// Command shoal is a sample.\npackage main"}, ""},
	{"doc", "a command that says package", map[string]string{"cmd/shoal/doc.go": "// Package main is a sample.\npackage main"}, "Command shoal"},

	{"length", "600 lines", map[string]string{"node/a.go": "package node" + strings.Repeat("\n", 600)}, ""},
	{"length", "601 lines", map[string]string{"node/a_test.go": "package node" + strings.Repeat("\n", 601)}, "node/a_test.go: 601 lines"},
	{"length", "a script", map[string]string{"test/load/run.sh": strings.Repeat(":\n", 601)}, "test/load/run.sh: 601 lines"},

	{"sleep", "a test that sleeps", map[string]string{"node/a_test.go": `package node; import "time"; func f() { time.Sleep(1) }`}, "node/a_test.go:1: time.Sleep"},
	{"sleep", "under another name", map[string]string{"node/a_test.go": `package node; import clock "time"; func f() { clock.Sleep(1) }`}, "time.Sleep"},
	{"sleep", "in a bubble", map[string]string{"node/a_test.go": `package node; import ("time"; _ "testing/synctest"); func f() { time.Sleep(1) }`}, ""},
	{"sleep", "in chaos", map[string]string{"test/chaos/a_test.go": `package chaos; import "time"; func f() { time.Sleep(1) }`}, ""},
	{"sleep", "not a test", map[string]string{"node/a.go": `package node; import "time"; func f() { time.Sleep(1) }`}, ""},
}

// TestSelf shows that each rule can pass and can fail.
func TestSelf(t *testing.T) {
	type seen struct{ kept, broken bool }
	outcomes := map[string]seen{}
	for _, c := range self {
		t.Run(c.rule+"/"+c.what, func(t *testing.T) {
			h, err := load(tree(c.sources))
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(ruleNamed(t, c.rule).check(h), "\n")
			switch {
			case c.breaks == "" && got != "":
				t.Errorf("broken, and should not be: %s", got)
			case !strings.Contains(got, c.breaks):
				t.Errorf("got %q, want %q in it", got, c.breaks)
			}
		})
		o := outcomes[c.rule]
		outcomes[c.rule] = seen{o.kept || c.breaks == "", o.broken || c.breaks != ""}
	}
	for _, r := range rules {
		if o := outcomes[r.name]; !o.kept || !o.broken {
			t.Errorf("rule %s: no case that keeps it, or none that breaks it", r.name)
		}
	}
}

func ruleNamed(t *testing.T, name string) rule {
	t.Helper()
	for _, r := range rules {
		if r.name == name {
			return r
		}
	}
	t.Fatalf("no rule %q", name)
	return rule{}
}
