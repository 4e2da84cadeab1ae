package main

import (
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// memoryBytes reads a size such as 512mb. "" is a quarter of the machine's memory, or 0, the engine's default, where
// that is not known.
func memoryBytes(s string) (int64, error) {
	if s == "" {
		return machineMemory() / 4, nil
	}
	return size("memory", s)
}

// size reads the value of a flag such as 512mb, in bytes; "" is 0.
func size(flag, s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	digits := strings.TrimRight(strings.ToLower(s), "kmgb")
	factor, ok := map[string]int64{"": 1, "b": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30}[strings.ToLower(s[len(digits):])]
	n, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || n < 1 || n > math.MaxInt64/factor {
		return 0, fmt.Errorf("--%s %q: want a size such as 512mb or 4gb", flag, s)
	}
	return n * factor, nil
}

// machineMemory is the machine's memory in bytes, 0 when it cannot be told.
func machineMemory() int64 {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		var kb int64
		if n, _ := fmt.Sscanf(line, "MemTotal: %d kB", &kb); n == 1 {
			return kb << 10
		}
	}
	return 0
}

// limitMemory bounds the process unless GOMEMLIMIT does. Rows are most of the heap, and with the collector's default
// (GOGC=100) a full budget of them could grow to twice its size before the next collection. The rest is for what is
// under way, the index of the log and the sorted store's cache. Collections stay rare: the room above the rows is at
// least half a gigabyte, and rows hold hardly any pointers.
func limitMemory(rows int64) {
	if os.Getenv("GOMEMLIMIT") != "" || rows <= 0 {
		return
	}
	debug.SetMemoryLimit(rows + rows/4 + 768<<20)
}
