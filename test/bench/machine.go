//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// machine is where and of what the figures were taken.
type machine struct {
	Date       string `json:"date"`
	Commit     string `json:"commit"` // with "-dirty" when files differ from it
	CPU        string `json:"cpu"`
	Processors int    `json:"processors"`
	MemoryMiB  int    `json:"memory_mib"`
	Kernel     string `json:"kernel"`
	Disk       string `json:"file_system"` // of the servers' folders
	Go         string `json:"go"`
	Redis      string `json:"redis"`
}

// describe asks the machine. What cannot be found out is left empty.
func describe(ctx context.Context, redis, dir string) machine {
	m := machine{
		Date: time.Now().Format("2006-01-02 15:04 MST"), Processors: runtime.NumCPU(), Go: runtime.Version(),
		CPU: valueOf("/proc/cpuinfo", "model name"), Disk: fileSystem(dir), Commit: commit(ctx),
	}
	kb, _, _ := strings.Cut(valueOf("/proc/meminfo", "MemTotal"), " ")
	if n, err := strconv.Atoi(kb); err == nil {
		m.MemoryMiB = n >> 10
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	if out, err := exec.CommandContext(ctx, redis, "--version").Output(); err == nil {
		for word := range strings.FieldsSeq(string(out)) {
			if version, ok := strings.CutPrefix(word, "v="); ok {
				m.Redis = version
			}
		}
	}
	return m
}

func (m machine) String() string {
	return fmt.Sprintf("%s, commit %s: %d processors (%s), %d MiB, Linux %s, data on %s, %s, redis-server %s",
		m.Date, m.Commit, m.Processors, m.CPU, m.MemoryMiB, m.Kernel, m.Disk, m.Go, m.Redis)
}

func commit(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*").Output()
	if err != nil {
		return "unknown"
	}
	return string(bytes.TrimSpace(out))
}

// valueOf is the first value of a name in a file of lines "name : value".
func valueOf(path, name string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// fileSystem names the kind a folder is on: in memory, fsync is free, and figures of appendfsync always mean nothing.
func fileSystem(dir string) string {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return ""
	}
	switch s.Type {
	case unix.EXT4_SUPER_MAGIC:
		return "ext4"
	case unix.XFS_SUPER_MAGIC:
		return "xfs"
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlayfs"
	case unix.TMPFS_MAGIC:
		return "tmpfs (memory: appendfsync always means nothing here)"
	}
	return fmt.Sprintf("file system %#x", s.Type)
}
