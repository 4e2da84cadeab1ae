package node

import (
	"testing"

	"shoal/ring"
)

func TestAPeersClockIsJudgedByItsFastestFrames(t *testing.T) {
	const peer = ring.NodeID(7)
	var s skew
	s.make(40)
	now := int64(1_000_000)
	say := func(ahead, late int64, jumps uint64) bool {
		return s.heard(now, peer, uint64(now+ahead-late)<<16|jumps)
	}
	expect := func(ms int64) {
		t.Helper()
		if got := s.of(peer); got != ms-s.drift {
			t.Fatalf("%d ms ahead, want %d", got, ms-s.drift)
		}
	}
	if !say(100, 3, 0) {
		t.Fatal("the first frame of a peer changes the judgement")
	}
	expect(97)
	if say(100, 20_000, 0) {
		t.Fatal("a late frame looks like a wrong clock")
	}
	expect(97)
	if !say(-9000, 3, 1) { // it says that it has jumped
		t.Fatal("a jump of the peer's clock went unnoticed")
	}
	expect(-9003)
	for range 20 { // a clock that runs slower is found out without a jump
		now += 1000
		say(-9500, 3, 1)
	}
	expect(-9503)
	if s.drifted(90) || s.jumps != 0 || !s.drifted(-9500) || s.jumps != 1 {
		t.Fatal("jumps of the own clock")
	}
	if s.far(peer) { // now both are
		t.Fatal("the own clock's jump does not count at once")
	}
	if uint16(s.hlc(now)) != 1 || int64(s.hlc(now)>>16) != now-9500 {
		t.Fatalf("%x", s.hlc(now))
	}
}
