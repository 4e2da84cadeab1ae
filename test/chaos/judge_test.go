package main

import (
	"testing"
	"time"
)

func TestJudge(t *testing.T) {
	figures := func(p99, worst int) latency {
		return latency{Count: 1, P99: time.Duration(p99) * time.Millisecond, Worst: time.Duration(worst) * time.Millisecond}
	}
	for _, c := range []struct {
		attacked, quiet latency
		first, last     verdict
	}{
		{figures(49, 249), figures(1, 1), passed, passed},
		{figures(49, 249), figures(400, 900), passed, passed},
		{figures(50, 100), figures(1, 1), failed, failed},
		{figures(1, 250), figures(1, 1), failed, failed},
		{figures(60, 100), figures(11, 20), disturbed, relative},
		{figures(60, 300), figures(1, 60), disturbed, failed}, // noise that explains the worst but not the p99
		{figures(40, 300), figures(1, 60), disturbed, relative},
		{figures(300, 900), figures(11, 60), disturbed, failed},
		{latency{}, figures(1, 1), failed, failed},
	} {
		if got := judge(c.attacked, c.quiet, false); got != c.first {
			t.Errorf("%v beside %v: %s, want %s", c.attacked, c.quiet, got, c.first)
		}
		if got := judge(c.attacked, c.quiet, true); got != c.last {
			t.Errorf("%v beside %v, last round: %s, want %s", c.attacked, c.quiet, got, c.last)
		}
	}
}

func TestSummary(t *testing.T) {
	var samples []time.Duration
	for i := range 101 {
		samples = append(samples, time.Duration(100-i)*time.Millisecond)
	}
	got := summary(samples)
	if got.Count != 101 || got.P50 != 50*time.Millisecond || got.P99 != 99*time.Millisecond || got.Worst != 100*time.Millisecond {
		t.Errorf("got %+v", got)
	}
	if got := summary(nil); got != (latency{}) {
		t.Errorf("nothing seen: %+v", got)
	}
}

// TestPingCountsTheWait: PINGs that a stall kept from being sent count from the moment they were due.
func TestPingCountsTheWait(t *testing.T) {
	p := &pinger{asked: time.Now().Add(-time.Second)}
	if got := p.take(); got.Count != 1 || got.Worst < time.Second {
		t.Errorf("a PING without an answer is not seen: %+v", got)
	}
}
