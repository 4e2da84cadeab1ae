// Command load is the helper of run.sh, which puts a real data set through crashes of a real cluster. It makes the
// data set from Debian's package index, writes it while nodes are killed and keeps book of every answer, and reads
// everything back from each node.
//
// It does not start, kill or configure nodes, and it measures no speed: run.sh and the benchmarks do.
package main
