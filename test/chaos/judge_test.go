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
		others          float64
		first, last     verdict
	}{
		{figures(49, 249), figures(1, 1), 0, passed, passed},
		{figures(49, 249), figures(400, 900), 0.9, passed, passed},
		{figures(50, 100), figures(1, 1), 0, failed, failed},
		{figures(1, 250), figures(1, 1), 0, failed, failed},
		{figures(60, 1000), figures(1, 1), 0, stalled, stalled},
		{figures(60, 100), figures(11, 20), 0, disturbed, relative},
		{figures(60, 300), figures(1, 60), 0, disturbed, failed}, // noise that explains the worst but not the p99
		{figures(40, 300), figures(1, 60), 0, disturbed, relative},
		{figures(300, 900), figures(11, 60), 0, disturbed, failed},
		{figures(90, 300), figures(1, 1), 0.5, disturbed, relative}, // half a machine takes twice the time
		{figures(110, 300), figures(1, 1), 0.5, disturbed, failed},
		{latency{}, figures(1, 1), 0, failed, failed},
	} {
		if got := judge(c.attacked, c.quiet, c.others, false); got != c.first {
			t.Errorf("%v beside %v and %v: %s, want %s", c.attacked, c.quiet, c.others, got, c.first)
		}
		if got := judge(c.attacked, c.quiet, c.others, true); got != c.last {
			t.Errorf("%v beside %v and %v, last round: %s, want %s", c.attacked, c.quiet, c.others, got, c.last)
		}
	}
}

func TestStrangers(t *testing.T) {
	before, after := ticks{total: 1000, idle: 500, own: 100}, ticks{total: 1400, idle: 600, own: 200}
	if got := strangers(before, after); got != 0.5 {
		t.Errorf("400 ticks, 100 idle and 100 own: %v is others', want 0.5", got)
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

// TestPingCountsTheWait: PINGs that a slow answer kept from being sent count, and so does one without an answer.
func TestPingCountsTheWait(t *testing.T) {
	p := &pinger{}
	p.note(3 * pingEvery)
	if got := p.take(); got.Count != 3 || got.P50 != 2*pingEvery || got.Worst != 3*pingEvery {
		t.Errorf("one answer after three times the interval: %+v", got)
	}
	p.asked = time.Now().Add(-time.Second)
	if got := p.take(); got.Count < 100 || got.Worst < time.Second {
		t.Errorf("a PING without an answer is not seen: %+v", got)
	}
}
