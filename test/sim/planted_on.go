//go:build planted

package sim

// Planted is the planted bug that is switched on. Worlds that run at the same time share it.
var Planted Bug

func bug(b Bug) bool { return b == Planted }
