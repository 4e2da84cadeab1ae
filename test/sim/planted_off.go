//go:build !planted

package sim

// bug reports whether a planted bug is switched on. Without the build tag none is.
func bug(Bug) bool { return false }
