package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"net"
	"os"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"shoal/node"
	"shoal/ring/gossip"
)

// realWorld is the machine this process runs on.
func realWorld() node.World {
	return node.World{
		FS:     vfs.Default,
		Listen: func(addr string) (net.Listener, error) { return net.Listen("tcp", addr) },
		ListenPacket: func(addr string) (gossip.PacketConn, error) {
			return net.ListenPacket("udp", addr)
		},
		Dial: func(ctx context.Context, addr string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", addr)
		},
		Now:         time.Now,
		Random:      random,
		MachineBoot: machineBoot(),
	}
}

func random() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint64(b[:])
}

// machineBoot changes when the machine restarts: what a killed process wrote is still with the same boot's kernel.
func machineBoot() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
