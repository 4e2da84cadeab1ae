//go:build !poison

package node

const poison = false
