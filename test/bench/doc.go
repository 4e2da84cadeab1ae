//go:build linux

// Command bench measures what shoal costs beside redis-server and Redis Cluster, on one machine and in one go:
//
//	go run ./test/bench                     the core suite, 3 rounds, about 6 minutes
//	go run ./test/bench -suite all          everything, about 20 minutes
//	go run ./test/bench -suite rate,stop -rounds 5 -out ""
//
// In each round every system is started on empty folders, loaded, measured in every shape and stopped before the next
// one starts: even an idle server takes CPU (three idle shoal nodes take several per cent of a core in timers), which
// would be charged to the one under test. So the systems take turns, A B A B, and a ratio is always one of two systems
// of the same round.
//
// The figure to look at is the CPU that all processes of a system took per operation, background work included:
// operations per second and latencies depend on who shares the machine's cores, and the load generator does. It is one
// thread with one epoll loop in this process, which checks every reply.
//
// Servers keep their data in $TMPDIR, which should be a real disk: appendfsync always is otherwise free. It needs Linux
// and redis-server; docs/benchmarks/README.md says what the columns mean and what the figures do not show.
package main
