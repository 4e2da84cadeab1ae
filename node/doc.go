// Package node is one running member: it owns the goroutines, the lock and the time, performs what the pure machines
// ask for (coord, antientropy, ring.Agreement), and joins them with the engine, the transport, gossip and the front
// door.
//
// Everything happens in ticks: whatever became ready together (client vectors, peer frames, timers) is executed under
// one lock; then the engine's tick ends, with one write, and only after that do frames, acknowledgements and results
// leave. The goroutine that opens a tick yields once, so that others can join, and ends it.
//
// It makes no protocol decision of its own: those are in the pure packages, where the simulator runs them.
package node
