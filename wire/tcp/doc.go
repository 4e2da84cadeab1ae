// Package tcp is the transport between nodes: it keeps one TCP connection per pair of members alive for ever, carries
// opaque frames over it both ways, and says who is up.
//
// One listener takes three kinds of connection, told apart by their first byte: a peer (a member of the map, with which
// frames are exchanged), a stranger (a node that is not in the map yet and asks one question), and a gossip stream
// (handed on untouched). Peers and strangers shake hands: both ends show protocol version, cluster, node and
// incarnation, and prove by answering the other's fresh nonce that they are there now and hold the cluster secret.
//
// Frames up to FragmentSize leave in the order of Send. A larger frame travels in fragments between which small frames
// pass, so it may arrive after frames that were sent later; whoever needs an order across that size must carry it in the
// frame.
//
// What the package does not do: it does not encrypt (the secret proves who is there, it does not hide or seal what
// follows; a checksum finds damage, not forgery), it does not look into frames, it does not resend anything (a frame
// accepted by Send is lost when the connection ends first), and it does not decide who is a member.
package tcp
