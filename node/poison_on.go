//go:build poison

package node

// poison makes the end of a tick overwrite the bytes that peers said in it, so that tests find who still uses them.
const poison = true
