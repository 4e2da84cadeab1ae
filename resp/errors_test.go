package resp

import (
	"math"
	"strings"
	"testing"

	"shoal/wire"
)

func TestErrorOfResult(t *testing.T) {
	for _, x := range []struct {
		result wire.Result
		want   string
	}{
		{wire.Result{}, ""},
		{wire.Result{Status: wire.NoReplicas}, "NOREPLICAS Not enough good replicas to write."},
		{wire.Result{Status: wire.NoReplicas, Err: "1 of 2 owners is reachable"}, "NOREPLICAS 1 of 2 owners is reachable"},
		{wire.Result{Status: wire.NoReplicas, Err: "NOREPLICAS again"}, "NOREPLICAS again"},
		{wire.Result{Status: wire.ClusterDown}, "CLUSTERDOWN The cluster is down"},
		{wire.Result{Status: wire.TryAgain}, "TRYAGAIN Refused before anything was written, try again"},
		{wire.Result{Status: wire.Loading}, "LOADING The node has no ring map yet"},
		{wire.Result{Status: wire.Uncertain, Reached: 1, Wanted: 2}, "UNCERTAIN write reached 1 of 2 replicas; it may or may not be applied"},
		{wire.Result{Status: wire.TooManySiblings}, "ERR too many siblings: read the key with VGET and write with its newest context"},
		{wire.Result{Status: wire.BadContext}, "ERR the context is damaged, or of another key or cluster"},
		{wire.Result{Status: wire.Failed, Err: "disk is full"}, "ERR disk is full"},
		{wire.Result{Status: wire.Failed, Err: "OOM no room"}, "OOM no room"},
		{wire.Result{Status: wire.Failed, Err: "EOF"}, "ERR EOF"},
		{wire.Result{Status: wire.Failed}, "ERR internal error"},
	} {
		if got := errOfResult(&x.result); got != x.want {
			t.Errorf("%+v: %q, want %q", x.result, got, x.want)
		}
	}
}

func TestUnknownCommandIsClipped(t *testing.T) {
	long := []byte(strings.Repeat("x", 1000))
	got := errUnknownCommand([][]byte{long, long, long})
	want := "ERR unknown command '" + string(long[:128]) + "', with args beginning with: '" + string(long[:128]) + "' "
	if got != want {
		t.Errorf("got %q", got)
	}
}

func TestParseInt(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "7": 7, "-7": -7, "9223372036854775807": math.MaxInt64, "-9223372036854775808": math.MinInt64,
	} {
		if got, ok := parseInt([]byte(text)); !ok || got != want {
			t.Errorf("%s: %d, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "-", "+1", "01", "-0", "-01", " 1", "1 ", "1.0", "1e2", "x", "9223372036854775808",
		"-9223372036854775809", "18446744073709551616", "99999999999999999999", "999999999999999999999"} {
		if got, ok := parseInt([]byte(text)); ok {
			t.Errorf("%q is read as %d", text, got)
		}
	}
}

func TestParseBytes(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "7b": 7, "1k": 1000, "1kb": 1024, "64MB": 64 << 20, "2g": 2e9, "1gb": 1 << 30} {
		if got, ok := parseBytes(text); !ok || got != want {
			t.Errorf("%s: %d, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "mb", "-1", "1.5mb", "1tb", "99999999999gb"} {
		if got, ok := parseBytes(text); ok {
			t.Errorf("%q is read as %d", text, got)
		}
	}
}

func TestGlob(t *testing.T) {
	for _, x := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "", true}, {"*", "anything", true}, {"", "", true}, {"", "a", false},
		{"max*", "maxmemory", true}, {"*mem*", "maxmemory", true}, {"*x", "maxmemory", false}, {"MAX*", "maxmemory", true},
		{"a?c", "abc", true}, {"a?c", "ac", false}, {"a[bc]d", "acd", true}, {"a[^bc]d", "acd", false},
		{"a[^bc]d", "aed", true}, {"a[a-c]", "ab", true}, {"a[c-a]", "ab", true}, {"a[a-c]", "ad", false},
		{`a\*`, "a*", true}, {`a\*`, "ab", false}, {"a[", "a", false}, {"a[b", "ab", true}, {`a\`, `a\`, true},
		{"a*b*c", "aXbYbZc", true}, {"a*b*c", "aXbYbZ", false}, {"[]", "a", false},
	} {
		if got := globMatch([]byte(x.pattern), x.name); got != x.want {
			t.Errorf("%q against %q: %v", x.pattern, x.name, got)
		}
	}
	if globMatch([]byte(strings.Repeat("a*", 500)+"b"), strings.Repeat("a", 2000)) {
		t.Error("a pattern of many stars matches")
	}
}
