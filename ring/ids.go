package ring

import (
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// NodeID names a node: random, never zero, made together with the node's data directory and gone with it.
type NodeID uint64

// Hex returns the 40 lower-case hexadecimal characters under which clients see the node (CLUSTER NODES). They are the
// SHA-1 of the id's 8 big-endian bytes: stable, and of the length that client libraries expect.
func (id NodeID) Hex() string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(id))
	sum := sha1.Sum(b[:])
	return hex.EncodeToString(sum[:])
}

// String returns the id as 16 hexadecimal characters, for logs.
func (id NodeID) String() string { return fmt.Sprintf("%016x", uint64(id)) }

// ClusterID names a cluster: made once, when the cluster is founded, never zero. Nodes of different clusters are
// strangers.
type ClusterID [16]byte

// String returns the id as 32 hexadecimal characters, for logs.
func (id ClusterID) String() string { return hex.EncodeToString(id[:]) }
