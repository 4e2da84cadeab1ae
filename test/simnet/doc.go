// Package simnet is a network in memory for tests: hosts with addresses, listeners, buffered stream connections and
// packet sockets, and links that can be cut and healed in each direction on its own. It runs inside a testing/synctest
// bubble (everything waits on channels) as well as outside.
//
// Streams behave like TCP: writes are buffered up to a bound and then block; a cut link holds bytes back, and the ends
// of connections too, and delivers them when it heals; a dial through a cut waits; a dial to where nobody listens is
// refused. Packets behave like UDP: a cut or a full queue loses them.
//
// What the package does not do: it gives no order of events that could be replayed, it neither reorders nor duplicates,
// and it does not model bandwidth.
package simnet
