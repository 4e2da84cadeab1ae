//go:build planted

package sim

import "testing"

// The history proves the check also where random search takes long.
func TestAReadOfAFillingReplicaIsFound(t *testing.T) {
	defer func() { Planted = NoBug }()
	Planted = FillingReads
	if _, broken := readWhileFilling(t); broken == nil {
		t.Fatal("not found")
	} else {
		t.Log(broken)
	}
}
