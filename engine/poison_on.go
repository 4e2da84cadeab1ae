//go:build poison

package engine

// poison makes Recycle overwrite what it takes back.
const poison = true
