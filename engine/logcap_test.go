package engine

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// When the entries of recycled segments take too much, the partitions with most of them are trimmed, not the others,
// and it is said. Rows stay.
func TestTheLogIsCapped(t *testing.T) {
	var said bytes.Buffer
	o := testOptions(vfs.NewMem(), 1, EverySec)
	o.LogBytes, o.MemoryBytes, o.LogKeepBytes = 512<<10, 32<<20, 300<<10
	o.Log = slog.New(slog.NewTextHandler(&said, nil))
	s := mustOpen(t, o)
	must(t, s.Create(0, 1))
	set(t, s, 1, "small", "v", 0)
	wrote := 0
	write := func() {
		for range 20 {
			set(t, s, 0, fmt.Sprint("key", wrote), strings.Repeat("v", 100), 0)
			wrote++
		}
	}
	settle(t, s, func() bool { write(); return s.Stats().Spills > 2 })
	if wrote*30 > 300<<10 {
		t.Fatalf("%d writes", wrote) // the next check proves nothing
	}
	if st := s.Stats(); st.LogTrimmed != 0 || st.LogEntries != int64(wrote)+1 {
		t.Fatalf("trimmed below the cap: %+v", st)
	}
	settle(t, s, func() bool { write(); return s.Stats().LogTrimmed > 0 })
	st := s.Stats()
	if got := int64(s.Logged(0) + s.Logged(1)); st.LogEntries != got || st.LogTrimmed+got != int64(wrote)+1 || s.Logged(1) != 1 {
		t.Fatalf("%+v after %d writes; partition 1 has %d", st, wrote, s.Logged(1))
	}
	if st.LogTrimmed*120 < 300<<10 {
		t.Fatalf("trimmed at %d entries", st.LogTrimmed)
	}
	if len(s.Replica(0).Horizon) == 0 || !strings.Contains(said.String(), "trimmed") {
		t.Fatalf("horizon %v, said %q", s.Replica(0).Horizon, said.String())
	}
	must(t, s.Close())
	s = mustOpen(t, o)
	defer func() { must(t, s.Close()) }()
	if s.Count(0, 0) != int64(wrote) || len(s.Replica(0).Horizon) == 0 {
		t.Fatalf("%d rows of %d", s.Count(0, 0), wrote)
	}
}
