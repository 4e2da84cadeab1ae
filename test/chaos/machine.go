package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

// ticks is processor time in the system's unit.
type ticks struct {
	total int64 // that the machine had
	idle  int64 // of it, unused
	own   int64 // of it, used by this program and the processes that it started
}

// machine reads what the processors have done since their start.
func (h *house) machine(others ...int) (t ticks) {
	stat, _ := os.ReadFile("/proc/stat")
	for i, field := range strings.Fields(string(bytes.SplitN(stat, []byte("\n"), 2)[0])) {
		var n int64
		if _, err := fmt.Sscan(field, &n); err != nil || i > 8 { // the name; guests, who are counted as users already
			continue
		}
		t.total += n
		if i == 4 || i == 5 { // idle, and waiting for a disk
			t.idle += n
		}
	}
	pids := append(others, os.Getpid())
	for _, p := range h.all {
		if p.cmd != nil {
			pids = append(pids, p.cmd.Process.Pid)
		}
	}
	for _, pid := range pids {
		t.own += used(pid)
	}
	return t
}

// used is the user and system time of a process, 0 when it is gone.
func used(pid int) int64 {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])) // its name comes before, and may hold anything
	if len(fields) < 13 {
		return 0
	}
	var user, system int64
	_, _ = fmt.Sscan(fields[11], &user)
	_, _ = fmt.Sscan(fields[12], &system)
	return user + system
}

// strangers is the share of the machine that other programs used between two readings, 0 to 1.
func strangers(before, after ticks) float64 {
	total := after.total - before.total
	if total <= 0 {
		return 0
	}
	theirs := total - (after.idle - before.idle) - (after.own - before.own)
	return max(0, float64(theirs)/float64(total))
}
