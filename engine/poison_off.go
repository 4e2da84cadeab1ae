//go:build !poison

package engine

const poison = false
