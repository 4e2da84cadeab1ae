package tcp

import (
	"crypto/hmac"
	"crypto/rand"
	"fmt"
	"io"
	"net"

	"shoal/ring"
)

// The handshake, after the preamble byte:
//
//	dialler  -> hello
//	acceptor -> hello            both now know version, cluster and id, and part here if these do not fit
//	dialler  -> proof
//	acceptor -> verdict, proof
//
// The dialler proves first, so that whoever merely connects learns nothing that the secret was used on.

// newHello is this node's greeting with a fresh nonce.
func (t *Transport) newHello() hello {
	h := hello{Identity: t.cfg.Self()}
	_, _ = rand.Read(h.nonce[:]) // never fails
	return h
}

// greet is the dialler's side. want is who must answer; 0: anybody.
func (t *Transport) greet(conn net.Conn, kind byte, want ring.NodeID) (Identity, error) {
	self := t.newHello()
	mine := self.encode()
	if _, err := conn.Write(append([]byte{kind}, mine[:]...)); err != nil {
		return Identity{}, err
	}
	other, theirs, err := readHello(conn)
	if err != nil {
		return Identity{}, err
	}
	if err := compatible(self.Identity, other.Identity, kind); err != nil {
		return Identity{}, err
	}
	if other.Node == self.Node || want != 0 && other.Node != want {
		return Identity{}, fmt.Errorf("%w: %s", ErrIdentity, other.Node.Hex())
	}
	p := proof(t.key, roleDialler, kind, mine, theirs)
	if _, err := conn.Write(p[:]); err != nil {
		return Identity{}, err
	}
	return other.Identity, t.readVerdict(conn, proof(t.key, roleAcceptor, kind, mine, theirs))
}

// readVerdict reads the acceptor's last word and its proof.
func (t *Transport) readVerdict(conn net.Conn, want [proofSize]byte) error {
	var b [1 + proofSize]byte
	if _, err := io.ReadFull(conn, b[:]); err != nil {
		return silent(err)
	}
	if int(b[0]) >= len(verdicts) {
		return fmt.Errorf("%w: verdict %d", ErrProtocol, b[0])
	}
	if err := verdicts[b[0]]; err != nil {
		return fmt.Errorf("refused by the other end: %w", err)
	}
	if !hmac.Equal(b[1:], want[:]) {
		return ErrSecret
	}
	return nil
}

// answer is the acceptor's side. judge says whether the proven identity is welcome.
func (t *Transport) answer(conn net.Conn, kind byte, judge func(Identity) byte) (Identity, error) {
	other, theirs, err := readHello(conn)
	if err != nil {
		return Identity{}, err
	}
	self := t.newHello()
	mine := self.encode()
	if _, err := conn.Write(mine[:]); err != nil {
		return Identity{}, err
	}
	if err := compatible(self.Identity, other.Identity, kind); err != nil {
		return other.Identity, err
	}
	var shown [proofSize]byte
	if _, err := io.ReadFull(conn, shown[:]); err != nil {
		return other.Identity, silent(err)
	}
	verdict := byte(verdictSecret)
	if want := proof(t.key, roleDialler, kind, theirs, mine); hmac.Equal(shown[:], want[:]) {
		verdict = judge(other.Identity)
	}
	last := make([]byte, 1, 1+proofSize)
	last[0] = verdict
	if verdict == verdictOK {
		p := proof(t.key, roleAcceptor, kind, theirs, mine)
		last = append(last, p[:]...)
	}
	if _, err := conn.Write(last[:cap(last)]); err != nil {
		return other.Identity, err
	}
	return other.Identity, verdicts[verdict]
}

func readHello(conn net.Conn) (hello, [helloSize]byte, error) {
	var b [helloSize]byte
	if _, err := io.ReadFull(conn, b[:]); err != nil {
		return hello{}, b, silent(err)
	}
	h, err := decodeHello(b)
	return h, b, err
}
