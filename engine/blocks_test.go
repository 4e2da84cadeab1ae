package engine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A wrong bit in a large block is found at once. Left to Pebble, one look at this block takes minutes.
func TestADamagedLargeBlockHoldsNothingUp(t *testing.T) {
	fs := vfs.NewMem()
	s := mustOpen(t, testOptions(fs, 1, EverySec))
	must(t, s.Create(0))
	rng := rand.New(rand.NewPCG(7, 7))
	large := make([]byte, 4<<20)
	for i := range large {
		large[i] = byte(rng.Uint32())
	}
	key := strings.Repeat("large", 12) // behind the others: the order is that of slots
	set(t, s, 0, key, string(large), 0)
	for i := range 400 { // so that the replica's clock stands in another block
		set(t, s, 0, fmt.Sprint("small", i), string(large[i*100:][:100]), 0)
	}
	must(t, closeSpilled(s))
	o := testOptions(fs, 2, EverySec)
	s = mustOpen(t, o)
	if get(t, s, 0, key, 0) != string(large) || get(t, s, 0, "small1", 0) != string(large[100:200]) {
		t.Fatal("what is not damaged is not read")
	}
	must(t, s.Close())
	names, err := fs.List("data/rows")
	must(t, err)
	flipped := 0
	for _, name := range names {
		info, err := fs.Stat("data/rows/" + name)
		must(t, err)
		if !strings.HasSuffix(name, ".sst") || info.Size() < int64(len(large)) {
			continue
		}
		f, err := fs.OpenReadWrite("data/rows/"+name, vfs.WriteCategoryUnspecified)
		must(t, err)
		var b [2]byte // two bits: one alone Pebble may find soon
		_, err = f.ReadAt(b[:], info.Size()/2)
		must(t, err)
		_, err = f.WriteAt([]byte{b[0] ^ 1, b[1] ^ 1}, info.Size()/2)
		must(t, err)
		must(t, f.Close())
		flipped++
	}
	if flipped != 1 {
		t.Fatalf("%d tables hold the large value", flipped)
	}
	began := time.Now()
	s = mustOpen(t, testOptions(fs, 3, EverySec))
	if _, err := s.Row(0, slotOf(key), []byte(key)); !errors.Is(err, ErrUnreadable) {
		t.Fatalf("the damaged row: %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
	must(t, s.Close())
}
