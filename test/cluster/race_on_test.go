//go:build race

package cluster

// slowdown is how many times less load tests make: under the race detector everything takes much longer.
const slowdown = 8
