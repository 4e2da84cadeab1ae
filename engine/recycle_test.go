package engine

import (
	"fmt"
	"testing"

	"shoal/causal"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Payloads outlive Recycle; the containers around them do not, and a build with the tag poison shows it.
func TestRecycleTakesContainersBackAndLeavesPayloads(t *testing.T) {
	s := mustOpen(t, testOptions(vfs.NewMem(), 1, EverySec))
	defer func() { must(t, s.Close()) }()
	must(t, s.Create(0))
	for round := range 5 {
		var rows []causal.Container
		var payloads [][]byte
		for i := range 1000 {
			key := fmt.Sprint("key", i)
			if round == 0 {
				set(t, s, 0, key, key, 0)
			}
			row, err := s.Row(0, slotOf(key), []byte(key))
			must(t, err)
			rows, payloads = append(rows, row), append(payloads, row.Versions[0].Payload)
			set(t, s, 0, key, key, 0)
		}
		for i, row := range rows {
			if key := fmt.Sprint("key", i); string(row.Versions[0].Payload) != key || len(row.Vector) != 1 {
				t.Fatalf("round %d: %s holds %+v before Recycle", round, key, row)
			}
		}
		must(t, s.EndTick())
		s.Recycle()
		for i, p := range payloads {
			if string(p) != fmt.Sprint("key", i) {
				t.Fatalf("round %d: a payload became %q", round, p)
			}
		}
		if last := rows[len(rows)-1]; poison && string(last.Versions[0].Payload) != "recycled" {
			t.Fatal("a recycled container can still be read")
		}
	}
}

func TestRowsOfATickAreReadWithoutAllocations(t *testing.T) {
	if poison {
		t.Skip("poisoned memory is not used again")
	}
	s := mustOpen(t, testOptions(vfs.NewMem(), 1, EverySec))
	defer func() { must(t, s.Close()) }()
	must(t, s.Create(0))
	const keys = 4000
	var refs []Ref
	for i := range keys {
		key := fmt.Sprint("key", i)
		set(t, s, 0, key, "v", 0)
		refs = append(refs, Ref{Partition: 0, Slot: slotOf(key), Key: []byte(key)})
	}
	must(t, s.EndTick())
	out := make([]Row, keys)
	s.Recycle()
	s.Get(refs, out)
	if n := testing.AllocsPerRun(10, func() { s.Recycle(); s.Get(refs, out) }); n > 0 {
		t.Errorf("%v allocations for %d rows", n, keys)
	}
}
