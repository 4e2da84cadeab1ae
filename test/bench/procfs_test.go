//go:build linux

package main

import (
	"os"
	"testing"
	"time"
)

func TestParseChildrenTime(t *testing.T) {
	const stat = "12 (a) b (c) S 1 12 12 0 -1 4194560 95 159 0 30 839 4487 150 7 20 0 14 0 31 42172416 2593\n"
	got, err := parseChildrenTime([]byte(stat))
	if want := 1570 * time.Millisecond; err != nil || got != want {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	for _, bad := range []string{"", "12 (a) S 1 2", "12 (a) S 1 12 12 0 -1 4 95 159 0 30 839 4487 x 7 20"} {
		if _, err := parseChildrenTime([]byte(bad)); err == nil {
			t.Errorf("%q: accepted", bad)
		}
	}
}

func TestParseMachineCPU(t *testing.T) {
	const stat = "cpu  100 20 30 4000 50 6 7 8 0 0\ncpu0 1 2 3 4 5 6 7 8 9 0\n"
	busy, stolen, err := parseMachineCPU([]byte(stat))
	if err != nil || busy != 1500*time.Millisecond || stolen != 80*time.Millisecond {
		t.Errorf("busy %v, stolen %v, %v", busy, stolen, err)
	}
	for _, bad := range []string{"", "cpu 1 2 3", "intr 1 2 3 4 5 6 7 8", "cpu 1 2 3 4 5 6 7 x"} {
		if _, _, err := parseMachineCPU([]byte(bad)); err == nil {
			t.Errorf("%q: accepted", bad)
		}
	}
}

func TestParsePeak(t *testing.T) {
	got, err := parsePeak([]byte("Name:\tx\nVmPeak:\t  9999 kB\nVmHWM:\t    1024 kB\nVmRSS:\t 12 kB\n"))
	if err != nil || got != 1<<20 {
		t.Errorf("%d, %v", got, err)
	}
	for _, bad := range []string{"", "VmHWM:\n", "VmHWM: 3 MB\n", "VmHWM: x kB\n"} {
		if _, err := parsePeak([]byte(bad)); err == nil {
			t.Errorf("%q: accepted", bad)
		}
	}
}

// TestProcessCPU compares the two clocks of this very process while it works.
func TestProcessCPU(t *testing.T) {
	before, err := selfCPU()
	if err != nil {
		t.Fatal(err)
	}
	clock, err := processCPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for begin := time.Now(); time.Since(begin) < 50*time.Millisecond; {
	}
	after, err := selfCPU()
	if err != nil {
		t.Fatal(err)
	}
	clockAfter, err := processCPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if diff := (clockAfter - clock) - (after - before); clockAfter <= clock || diff.Abs() > 20*time.Millisecond {
		t.Errorf("the process clock says %v, getrusage %v", clockAfter-clock, after-before)
	}
	if n, err := peakRSS(os.Getpid()); err != nil || n < 1<<20 {
		t.Errorf("peak RSS %d, %v", n, err)
	}
}

func TestForeign(t *testing.T) {
	at := time.Now()
	from := usage{at: at, servers: time.Second, generator: time.Second, busy: 10 * time.Second}
	to := usage{at: at.Add(time.Hour), servers: 2 * time.Second, generator: 3 * time.Second, busy: 10*time.Second + time.Hour, stolen: 0}
	whole := foreign(from, to)
	to.busy -= time.Hour
	if none := foreign(from, to); none != 0 || whole <= 0 || whole > 1 {
		t.Errorf("a busy processor is %v of the machine, own work %v", whole, none)
	}
}
