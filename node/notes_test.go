package node

import (
	"testing"

	"shoal/antientropy"
)

// Replicas that are found to be behind one after the other are told of once, and so is their end.
func TestFillsAreToldOfOnce(t *testing.T) {
	var x notes
	begun, over := 0, 0
	for now := int64(1000); now < 60_000; now += 10 {
		filling := 0
		if now < 20_000 && now/10%2 == 0 {
			filling = 3
		}
		b, o := x.fills(now, filling, antientropy.FillStats{Ended: uint64(now)})
		if b {
			begun++
		}
		if o {
			over++
			if now < 20_000+filledAfter-20 || now > 20_000+filledAfter || x.filled.Ended != 1000 {
				t.Errorf("over at %d, begun with %+v", now, x.filled)
			}
		}
	}
	if begun != 1 || over != 1 {
		t.Fatalf("%d beginnings, %d ends", begun, over)
	}
}

// A disk at the edge of being full does not fill the log, and the last word is right.
func TestAFullDiskIsToldOfSeldom(t *testing.T) {
	var x notes
	said := 0
	for now := int64(1); now < 60_000; now += 10 {
		if x.room(now, now < 30_000 && now/10%3 != 0) {
			said++
		}
	}
	if said < 2 || said > 5 || x.full {
		t.Fatalf("%d lines, and at the end full: %v", said, x.full)
	}
	if x.room(60_001, false) {
		t.Error("nothing has changed")
	}
}
