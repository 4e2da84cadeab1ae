//go:build !race

package cluster

// slowdown is how many times less load tests make.
const slowdown = 1
