package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const flips = 20 // bytes, in one file of each kind

// flip damages files of a killed node: a sorted table, then segments of the log. No wrong value may ever be read,
// from any node, and the node must become whole and equal by itself: a comparison comes soon after a start, and whoever
// reads a damaged row repairs it. A node that cannot make sense of its log may refuse to start, in words; then its folder
// is as good as lost, and it must be whole again with an empty one.
func flip(ctx context.Context, h *house) error {
	f, s, err := h.filled(ctx, 3, h.some(200_000), "--memory", "8mb", "--compare-every", "2m")
	if err != nil {
		return err
	}
	defer f.close() //nolint:errcheck // it returns none that matters here
	const victim = 1
	r := rand.New(rand.NewPCG(h.seed, 1))
	for _, d := range damages {
		f.kill(victim)
		if err := f.damage(r, victim, d.pattern, d.choose); err != nil {
			return err
		}
		if err := f.start(victim); err != nil {
			return err
		}
		err := f.recovers(ctx, s)
		if errors.Is(err, errExited) {
			h.say("%v", err)
			f.kill(victim)
			if err := errors.Join(f.wipe(victim), f.start(victim)); err != nil {
				return err
			}
			err = f.recovers(ctx, s)
		}
		if err != nil {
			return err
		}
	}
	f.answers(ctx, s, "afterwards", 0, 1, 2)
	f.alarms(ctx)
	return ctx.Err()
}

// recovers reads keys until the fleet is whole and equal, which has a limit.
func (f *fleet) recovers(ctx context.Context, s *shelf) error {
	from := time.Now()
	watched := watchValues(ctx, f, s)
	_, err := f.equal(ctx, 2*backWithin)
	took := time.Since(from)
	reads, failed, wrong := watched()
	f.say("meanwhile %d reads%s", reads, texts(failed))
	for _, what := range wrong {
		f.fault("read after the damage: %s", what)
	}
	if err != nil {
		return err
	}
	f.measured("whole and equal after the damage", took.Seconds(), backWithin.Seconds(), "s")
	for _, n := range f.nodes {
		x, log := n.info(ctx, "repair"), int64(0)
		if st, err := os.Stat(n.log); err == nil {
			log = st.Size()
		}
		f.say("%s: unreadable_rows %d, repair_tree %d, repair_log %d, repair_read %d, %d bytes in its log file", n.name,
			n.info(ctx, "stats")["unreadable_rows"], x["repair_tree"], x["repair_log"], x["repair_read"], log)
	}
	return nil
}

// damages are what is done to the files of a kind, which are in order of age, to choose the one to damage.
var damages = []struct {
	pattern string
	choose  func(files []string) string
}{
	{"rows/*.sst", largest},
	{"log/*.log", func(files []string) string { return files[len(files)-1] }}, // the one that is written
	{"log/*.log", func(files []string) string { return files[len(files)/2] }}, // one whose records were all on the disk
}

func largest(files []string) (file string) {
	most := int64(-1)
	for _, name := range files {
		if st, err := os.Stat(name); err == nil && st.Size() > most {
			file, most = name, st.Size()
		}
	}
	return file
}

// damage flips a bit of some bytes in the first half of a file.
func (f *fleet) damage(r *rand.Rand, i int, pattern string, choose func([]string) string) error {
	files, err := filepath.Glob(filepath.Join(f.folder(i), pattern))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("node %s has no %s to damage: use more --keys", f.nodes[i].name, pattern)
	}
	slices.Sort(files)
	file := choose(files)
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if len(raw) == 0 {
		return fmt.Errorf("%s is empty", file)
	}
	for range flips {
		raw[r.IntN(max(1, len(raw)/2))] ^= 1 << r.IntN(8)
	}
	f.say("%d bytes of %s of %s, %d bytes long, are damaged", flips, filepath.Base(file), f.nodes[i].name, len(raw))
	return os.WriteFile(file, raw, 0o644)
}

// watchValues reads keys at random through every node until the returned function is called, which tells what was seen.
// An error is an honest answer.
func watchValues(ctx context.Context, f *fleet, s *shelf) func() (reads int64, failed map[string]int, wrong []string) {
	ctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	var reads atomic.Int64
	failed := map[string]int{}
	var mu sync.Mutex
	var bad findings
	for n, c := range f.hasty {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := rand.IntN(len(s.tried))
				value, err := c.Get(context.WithoutCancel(ctx), s.key(i)).Result()
				reads.Add(1)
				if err != nil && !errors.Is(err, redis.Nil) {
					mu.Lock()
					failed[f.nodes[n].name+": "+told(err)]++
					mu.Unlock()
					sleep(ctx, 20*time.Millisecond)
					continue
				}
				if what := s.wrong(i, value, err == nil); what != "" {
					mu.Lock()
					bad.add("%s", what)
					mu.Unlock()
				}
				sleep(ctx, time.Millisecond)
			}
		})
	}
	return func() (int64, map[string]int, []string) {
		stop()
		wg.Wait()
		return reads.Load(), failed, bad.list()
	}
}

// told is the text under which an error is counted: without the ports of the connection, which differ every time.
func told(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}
