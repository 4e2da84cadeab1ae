//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit of times in /proc, USER_HZ: 100 on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// processCPU is the user and system time of all threads of a process, those that have ended included, in nanoseconds:
// the clock that clock_getcpuclockid(3) names. /proc/PID/stat has the same sum in steps of 10 ms, /proc/PID/schedstat
// only the first thread's.
//
// Children that were waited for are added (redis-server rewrites its log in one); their time has steps of 10 ms.
func processCPU(pid int) (time.Duration, error) {
	const cpuclockSched = 2
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|cpuclockSched), &ts); err != nil {
		return 0, fmt.Errorf("CPU clock of process %d: %w", pid, err)
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	children, err := parseChildrenTime(b)
	return time.Duration(ts.Nano()) + children, err
}

// parseChildrenTime finds cutime and cstime, fields 16 and 17 of /proc/PID/stat.
func parseChildrenTime(stat []byte) (time.Duration, error) {
	// The second field, the name, may hold anything, blanks and brackets too, and ends with the last bracket.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 15 {
		return 0, errors.New("/proc/PID/stat: too few fields")
	}
	user, err := strconv.ParseInt(string(fields[13]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("/proc/PID/stat: %w", err)
	}
	system, err := strconv.ParseInt(string(fields[14]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("/proc/PID/stat: %w", err)
	}
	return time.Duration(user+system) * tick, nil
}

// hasChildren reports whether a process has children that its first thread started.
func hasChildren(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	return err == nil && len(bytes.TrimSpace(b)) > 0
}

// peakRSS is the most memory a process has had resident since it started or since resetPeak, in bytes.
func peakRSS(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	return parsePeak(b)
}

func parsePeak(status []byte) (int64, error) {
	for line := range bytes.Lines(status) {
		name, rest, _ := bytes.Cut(line, []byte(":"))
		if string(name) != "VmHWM" {
			continue
		}
		fields := bytes.Fields(rest)
		if len(fields) != 2 || string(fields[1]) != "kB" {
			return 0, fmt.Errorf("/proc/PID/status: VmHWM: %q", rest)
		}
		kb, err := strconv.ParseInt(string(fields[0]), 10, 64)
		return kb << 10, err
	}
	return 0, errors.New("/proc/PID/status: no VmHWM")
}

// resetPeak makes peakRSS start again from what is resident now.
func resetPeak(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}

// machineCPU is the time that all CPUs of the machine have been busy, and the time that a hypervisor gave to others.
func machineCPU() (busy, stolen time.Duration, err error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, err
	}
	return parseMachineCPU(b)
}

// parseMachineCPU adds user, nice and system of the first line of /proc/stat. Interrupts are left out: they are nobody's
// (the network's are taken for the servers' own traffic) and no process is charged for them.
func parseMachineCPU(stat []byte) (busy, stolen time.Duration, err error) {
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	fields := bytes.Fields(line)
	if len(fields) < 9 || string(fields[0]) != "cpu" {
		return 0, 0, fmt.Errorf("/proc/stat: %q", line)
	}
	var ticks [8]int64
	for i := range ticks {
		if ticks[i], err = strconv.ParseInt(string(fields[i+1]), 10, 64); err != nil {
			return 0, 0, fmt.Errorf("/proc/stat: %w", err)
		}
	}
	return time.Duration(ticks[0]+ticks[1]+ticks[2]) * tick, time.Duration(ticks[7]) * tick, nil
}

// selfCPU is the CPU time of this process: the load generator.
func selfCPU() (time.Duration, error) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}
