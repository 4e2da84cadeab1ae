package tcp

import "errors"

// Why a connection was refused or ended. Errors of this package wrap one of these, or are what the network said.
var (
	ErrClosed      = errors.New("transport closed")
	ErrVersion     = errors.New("other protocol version")
	ErrCluster     = errors.New("other cluster, or none yet")
	ErrSecret      = errors.New("other cluster secret")
	ErrUnknownPeer = errors.New("not a member of this node's map")
	ErrIdentity    = errors.New("another node answers at this address")
	ErrDirection   = errors.New("the other end is the one that dials")
	ErrStale       = errors.New("an older incarnation of a node that is up")
	ErrBusy        = errors.New("too many connections at once")
	ErrNotLoopback = errors.New("not a loopback address, and there is no cluster secret")
	ErrProtocol    = errors.New("protocol violation")
	ErrRefused     = errors.New("request refused")
	ErrFrameSize   = errors.New("frame larger than the limit")
	ErrQueueFull   = errors.New("peer does not take what is queued for it")
	ErrSilent      = errors.New("nothing heard from peer")
	ErrReplaced    = errors.New("replaced by a newer connection")
	ErrRemoved     = errors.New("no longer a peer")
)
