// Command chaos attacks a real cluster: `shoal serve` processes on the loopback interface, hostile clients, kill -9,
// SIGSTOP, cut and slow networks, lost disks and restored backups.
//
//	hostile         hostile bytes and hostile behaviour, at the client port and at the peer port. No node may die or
//	                stall, grow without bound or lose descriptors, and what Redis answers to such bytes shoal answers too
//	                (a redis-server is asked the same).
//	failover        nodes are killed, stopped and restarted under load: what clients see, and when, and that every
//	                acknowledged write reads back
//	repair          nodes are killed, stopped, cut off, slowed down, robbed of their disks and put back to an older state
//	                while clients write: keys that are set once, sets that grow by VGET and VSET, and a few keys that are
//	                set, deleted and made to expire. After each stretch replicas must become equal by themselves, and
//	                every node must answer what was acknowledged
//	accept NAME     one measured story each: a node that was down, wiped or damaged, a cut, what catching up moves, what
//	                an idle node uses, what deletes leave behind
//
// In the last two all nodes reach each other through a proxy in this program. A node announces its front's address; whose
// connection arrives there the proxy finds in the kernel's table of sockets. So each direction of each pair can be cut.
// A seed fixes the order of faults, not their moments: nothing here replays. To judge the registers of five nodes
// strictly, run with --strict: a sloppy quorum may take a write where the next one does not look.
//
// smoke.sh builds it and runs the first three, short. Longer runs by hand: see the flags.
//
// Latencies are those of a machine that others use too. A process of its own sends PING to the attacked node and, at
// the same moments, to a node that nobody attacks. What the second sees is the machine's noise, and so is the share of the
// processors that other programs use: a round that was disturbed is run again. All these figures are printed.
//
// It does not skew clocks and makes no rows vanish: test/sim does. It measures no throughput.
// It needs Linux: memory and descriptors of the nodes are read from /proc.
package main
