// Command shoal runs nodes: `shoal dev` a whole cluster in one process, `shoal serve` one node of a real one. It holds
// flags, the real disk and network, and signals; no logic.
package main
