package sim

import (
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
)

var (
	oneSeed  = flag.Int64("seed", -1, "run only this seed and print its trace when it fails")
	seeds    = flag.Int("seeds", 4000, "how many seeds to run")
	fromSeed = flag.Uint64("from", 1, "the first of them")
)

// A world is small and short-lived: collecting less often halves its price.
func TestMain(m *testing.M) {
	flag.Parse()
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

func TestSeeds(t *testing.T) {
	if *oneSeed >= 0 {
		report(t, uint64(*oneSeed), 1<<20)
		return
	}
	const chunks = 16
	var mu sync.Mutex
	var total Stats
	t.Run("chunks", func(t *testing.T) {
		for c := range chunks {
			t.Run(fmt.Sprint(c), func(t *testing.T) {
				t.Parallel()
				for i := c; i < *seeds && !t.Failed(); i += chunks {
					f, _, s := Run(*fromSeed+uint64(i), nil)
					mu.Lock()
					total.add(&s)
					mu.Unlock()
					if f != nil {
						report(t, f.Seed, 60)
					}
				}
			})
		}
	})
	t.Log(total.String())
}

// report runs a failing seed again and shows how it came to it.
func report(t *testing.T, seed uint64, lines int) {
	t.Helper()
	var trace []string
	f, _, _ := Run(seed, func(line string) { trace = append(trace, line) })
	if f == nil {
		t.Logf("seed %d holds", seed)
		return
	}
	trace = append(trace[:1:1], trace[max(1, len(trace)-lines):]...)
	t.Errorf("%v\nreplay: go test ./test/sim -run TestSeeds -seed=%d\n%s", f, seed, strings.Join(trace, "\n"))
}

// The same seed is the same history, bit for bit.
func TestSameSeedSameHistory(t *testing.T) {
	for seed := uint64(1); seed <= 50; seed++ {
		_, a, _ := Run(seed, nil)
		_, b, _ := Run(seed, func(string) {})
		if a != b {
			t.Fatalf("seed %d: two runs differ (%x, %x)", seed, a, b)
		}
	}
}
