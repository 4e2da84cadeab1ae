package tcp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"shoal/ring"
)

// The first byte of a connection.
const (
	preamblePeer     = 'P'
	preambleStranger = 'S'
	preambleGossip   = 'G'
)

const (
	nonceSize = 32
	helloSize = 4 + 2 + 8 + 16 + 8 + 8 + nonceSize
	proofSize = sha256.Size
)

// magic also names the layout of the handshake.
var magic = [4]byte{'s', 'h', 'l', '1'}

// hello is what each end shows first.
type hello struct {
	Identity
	nonce [nonceSize]byte
}

// encode returns, big-endian: magic, version u16, capabilities u64, cluster, node u64, incarnation u64, nonce.
func (h hello) encode() [helloSize]byte {
	var out [helloSize]byte
	b := append(out[:0], magic[:]...)
	b = binary.BigEndian.AppendUint16(b, h.Version)
	b = binary.BigEndian.AppendUint64(b, h.Capabilities)
	b = append(b, h.Cluster[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(h.Node))
	b = binary.BigEndian.AppendUint64(b, h.Incarnation)
	copy(out[len(b):], h.nonce[:])
	return out
}

// decodeHello takes any bytes of the right number; the error is ErrProtocol.
func decodeHello(b [helloSize]byte) (hello, error) {
	if [4]byte(b[:4]) != magic {
		return hello{}, fmt.Errorf("%w: not a node's greeting", ErrProtocol)
	}
	var h hello
	h.Version = binary.BigEndian.Uint16(b[4:])
	h.Capabilities = binary.BigEndian.Uint64(b[6:])
	h.Cluster = ring.ClusterID(b[14:30])
	h.Node = ring.NodeID(binary.BigEndian.Uint64(b[30:]))
	h.Incarnation = binary.BigEndian.Uint64(b[38:])
	h.nonce = [nonceSize]byte(b[46:])
	if h.Node == 0 {
		return hello{}, fmt.Errorf("%w: no node id", ErrProtocol)
	}
	return h, nil
}

// Whose proof it is; the two differ so that neither can be played back as the other.
const (
	roleDialler  = 'd'
	roleAcceptor = 'a'
)

// proof is HMAC-SHA256 over role, kind of connection and both greetings. It holds the other end's nonce, hence was made
// for this connection, by somebody who has the key.
func proof(key []byte, role, kind byte, dialler, acceptor [helloSize]byte) [proofSize]byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte{role, kind})
	mac.Write(dialler[:])
	mac.Write(acceptor[:])
	var out [proofSize]byte
	mac.Sum(out[:0])
	return out
}

// The acceptor's verdict on a dialler, one byte before its own proof.
const (
	verdictOK = iota
	verdictSecret
	verdictUnknown
	verdictIdentity
	verdictDirection
	verdictStale
	verdictBusy
)

// verdicts are what the bytes mean; the index is the byte.
var verdicts = [...]error{
	verdictOK: nil, verdictSecret: ErrSecret, verdictUnknown: ErrUnknownPeer, verdictIdentity: ErrIdentity,
	verdictDirection: ErrDirection, verdictStale: ErrStale, verdictBusy: ErrBusy,
}

// compatible says whether two ends can talk at all. A stranger may belong to no cluster, and so may the node it asks.
func compatible(a, b Identity, kind byte) error {
	if a.Version != b.Version {
		return fmt.Errorf("%w: %d and %d", ErrVersion, a.Version, b.Version)
	}
	none := ring.ClusterID{}
	if kind == preambleStranger && (a.Cluster == none || b.Cluster == none) {
		return nil
	}
	if a.Cluster != b.Cluster || a.Cluster == none {
		return ErrCluster
	}
	return nil
}
