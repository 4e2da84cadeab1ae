// Command chaos attacks a real cluster: `shoal serve` processes on the loopback interface, hostile clients, kill -9 and
// SIGSTOP.
//
//	chaos hostile   hostile bytes and hostile behaviour, at the client port and at the peer port. No node may die or
//	                stall, grow without bound or lose descriptors, and what Redis answers to such bytes shoal answers too
//	                (a redis-server is asked the same).
//	chaos failover  nodes are killed, stopped and restarted under load: what clients see, and when, and that every
//	                acknowledged write reads back
//
// smoke.sh builds it and runs both, short. Longer runs by hand: see the flags.
//
// Latencies are those of a machine that others use too. A process of its own sends PING to the attacked node and, at
// the same moments, to a node that nobody attacks. What the second sees is the machine's noise, and so is the share of the
// processors that other programs use: a round that was disturbed is run again. All these figures are printed.
//
// It does not cut networks, lose disks or skew clocks, and replays nothing: test/sim does. It measures no throughput.
// It needs Linux: memory and descriptors of the nodes are read from /proc.
package main
