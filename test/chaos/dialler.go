package main

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// owner finds which of the processes holds the other end of a connection that was accepted on this machine. Nodes dial
// from any free port, so the address does not tell; the kernel's table of sockets does. ok is false when none has it.
func owner(conn net.Conn, pids []int) (i int, ok bool) {
	dialler, err1 := netip.ParseAddrPort(conn.RemoteAddr().String())
	dialled, err2 := netip.ParseAddrPort(conn.LocalAddr().String())
	if err1 != nil || err2 != nil {
		return 0, false
	}
	inode := socketInode(kernelAddr(dialler), kernelAddr(dialled))
	if inode == "" || inode == "0" {
		return 0, false
	}
	for i, pid := range pids {
		if pid != 0 && holds(pid, "socket:["+inode+"]") {
			return i, true
		}
	}
	return 0, false
}

// kernelAddr writes an IPv4 address and port as /proc/net/tcp does: the address as a number of this machine, which is
// little-endian on all that this runs on, the port as digits.
func kernelAddr(a netip.AddrPort) string {
	ip := a.Addr().Unmap().As4()
	return fmt.Sprintf("%02X%02X%02X%02X:%04X", ip[3], ip[2], ip[1], ip[0], a.Port())
}

// socketInode is the number of the socket with these two ends, "" when there is none.
func socketInode(local, remote string) string {
	table, err := os.Open("/proc/self/net/tcp")
	if err != nil {
		return ""
	}
	defer table.Close()
	for lines := bufio.NewScanner(table); lines.Scan(); {
		// sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode ...
		if fields := strings.Fields(lines.Text()); len(fields) > 9 && fields[1] == local && fields[2] == remote {
			return fields[9]
		}
	}
	return ""
}

// holds reports whether the process has the file open.
func holds(pid int, name string) bool {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, e := range entries {
		if link, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && link == name {
			return true
		}
	}
	return false
}
