// Package gossip finds the members of a cluster and says who seems alive, by memberlist over this package's own
// transport, so that gossip shares the one peer address: streams come and go through the caller's peer port, packets
// through a packet connection that the caller opens.
//
// A node is known by its id, never by its name or address; what a member announces beside that is its Meta. memberlist
// forgets members that stay away for long and never dials them again, so a partition of some minutes would last for
// ever: this package keeps joining the addresses that Seeds returns.
//
// What the package does not do: it decides nothing. Who is a member and who owns what is the ring map's; alive and dead
// are hints for routing. It does not carry the map, and it gives no order among the news of different nodes.
package gossip
