package engine

import (
	"testing"

	"shoal/causal"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// With One, a power cut right after EndTick keeps what was issued here and may lose what others issued, and Open says
// so.
func TestOneSyncsWhatWasIssuedHere(t *testing.T) {
	fs := vfs.NewCrashableMem()
	o := testOptions(fs, 1, One)
	s := mustOpen(t, o)
	must(t, s.Create(0))
	foreign := func(seq uint64) {
		d := causal.Dot{Actor: 7, Seq: seq}
		row := causal.Container{}.Add(causal.Version{Dot: d, Kind: causal.KindString, Payload: []byte("foreign")})
		s.Put(0, slotOf("copy"), []byte("copy"), row, []causal.Dot{d})
		must(t, s.EndTick())
	}
	foreign(1)
	syncs := s.Stats().Syncs
	own := set(t, s, 0, "own", "v", 0)
	must(t, s.EndTick())
	if s.Stats().Syncs == syncs {
		t.Error("a tick with a dot of this store was not fsynced")
	}
	s.Mark(0, 1, []byte("marked"), []causal.Dot{s.Replica(0).Next()})
	must(t, s.EndTick())
	syncs = s.Stats().Syncs
	foreign(2)
	if s.Stats().Syncs != syncs {
		t.Error("a tick without a dot of this store was fsynced")
	}
	crashed := fs.CrashClone(vfs.CrashCloneCfg{})
	must(t, s.Close())

	o.FS, o.MachineBoot = crashed, "boot-2"
	s = mustOpen(t, o)
	defer func() { must(t, s.Close()) }()
	if !s.TailMayBeLost() {
		t.Error("a tail may be lost, and Open does not say so")
	}
	c := &s.Replica(0).Clock
	for _, d := range []causal.Dot{own, {Actor: own.Actor, Seq: 2}, {Actor: 7, Seq: 1}} {
		if !c.Contains(d) {
			t.Errorf("%v is lost", d)
		}
	}
	if c.Contains(causal.Dot{Actor: 7, Seq: 2}) || get(t, s, 0, "own", 0) != "v" {
		t.Error("the cut kept what was not fsynced, or lost what was")
	}
}

func TestDurabilitiesByName(t *testing.T) {
	for _, d := range []Durability{EverySec, Always, No, One} {
		if got, err := ParseDurability(d.String()); err != nil || got != d {
			t.Errorf("%v: %v %v", d, got, err)
		}
	}
	if _, err := ParseDurability("sometimes"); err == nil {
		t.Error("a durability of no meaning is taken")
	}
}
