//go:build linux

package main

import (
	"context"
	"runtime"
	"time"
)

// usage is what has been used up to a moment.
type usage struct {
	at                 time.Time
	servers, generator time.Duration // CPU
	busy, stolen       time.Duration // CPU of the whole machine
}

func (c *cluster) usage() (u usage, err error) {
	if u.servers, err = c.cpu(); err != nil {
		return u, err
	}
	if u.generator, err = selfCPU(); err != nil {
		return u, err
	}
	u.busy, u.stolen, err = machineCPU()
	u.at = time.Now()
	return u, err
}

// cpu is the CPU time of all the cluster's processes.
func (c *cluster) cpu() (total time.Duration, err error) {
	if err := c.check(); err != nil {
		return 0, err
	}
	for _, p := range c.procs {
		used, err := processCPU(p.pid())
		if err != nil {
			return 0, err
		}
		total += used
	}
	return total, nil
}

// foreign is the share of the machine's CPU time, between two moments, that neither the servers nor the generator took:
// other programs, kernel threads (they write the servers' data to the disk) and other machines of the same host.
func foreign(from, to usage) float64 {
	own := to.servers - from.servers + to.generator - from.generator
	others := max(0, to.busy-from.busy-own) + to.stolen - from.stolen
	return float64(others) / (float64(to.at.Sub(from.at)) * float64(runtime.NumCPU()))
}

// idleWindow is how long the servers' CPU is watched at a time, and idleLimit for how long in all.
const (
	idleWindow = 200 * time.Millisecond
	idleLimit  = 15 * time.Second
)

// settle waits until the servers take the same little CPU in three windows after another, and returns that: CPU seconds
// per second. Timers go on in an idle server. After idleLimit it gives up and says 0: then everything that they do after
// a run is charged to the run.
func (c *cluster) settle(ctx context.Context) (rate float64, err error) {
	const (
		windows = 3
		slack   = 0.02 // of a core
		busy    = 0.6  // more is work
	)
	var last []float64
	for end := time.Now().Add(idleLimit); ; {
		r, err := c.window(ctx)
		if err != nil {
			return 0, err
		}
		last = append(last[max(0, len(last)-windows+1):], r)
		s := spreadOf(last)
		if len(last) == windows && s.max < busy && s.max-s.min <= max(slack, s.median/3) && !c.hasChildren() {
			return s.median, nil
		}
		if time.Now().After(end) {
			return 0, nil
		}
	}
}

// quiet waits until the servers take no more CPU than when they are idle, and returns what they took beyond that since
// they had taken from: what is left to do after a run belongs to the run, the timers of an idle server do not.
func (c *cluster) quiet(ctx context.Context, from usage, idle float64) (more time.Duration, err error) {
	const windows = 2
	calm := 0
	for end := from.at.Add(idleLimit); calm < windows && time.Now().Before(end); {
		r, err := c.window(ctx)
		if err != nil {
			return 0, err
		}
		calm++
		if r > idle*1.3+0.02 || c.hasChildren() {
			calm = 0
		}
	}
	used, err := c.cpu()
	waited := time.Since(from.at)
	return max(0, used-from.servers-time.Duration(idle*float64(waited))), err
}

// window is the CPU seconds per second of one idleWindow.
func (c *cluster) window(ctx context.Context) (float64, error) {
	begin := time.Now()
	before, err := c.cpu()
	if err != nil {
		return 0, err
	}
	select {
	case <-time.After(idleWindow):
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	after, err := c.cpu()
	return float64(after-before) / float64(time.Since(begin)), err
}

func (c *cluster) hasChildren() bool {
	for _, p := range c.procs {
		if hasChildren(p.pid()) {
			return true
		}
	}
	return false
}

// resetPeaks makes memory start again from what is resident now.
func (c *cluster) resetPeaks() error {
	for _, p := range c.procs {
		if err := resetPeak(p.pid()); err != nil {
			return err
		}
	}
	return nil
}

// peak is the sum of the processes' peaks, in bytes. They need not have been at the same moment.
func (c *cluster) peak() (total int64, err error) {
	for _, p := range c.procs {
		n, err := peakRSS(p.pid())
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}
