// Package engine keeps containers on disk: one row per key, a log of processed dots, and the clock of every partition
// replica. The three go back together after a crash, because everything of one tick is one batch of the sorted store
// (Pebble) behind it, and the clock is rebuilt from a snapshot and the log entries above it.
//
// A tick is what became ready together: any number of Put, Mark, Flush and AdoptClock, then EndTick. When EndTick
// returns the bytes are with the operating system, so that kill -9 loses nothing; when they are on the disk is the
// Durability's business. A power cut loses a suffix of the ticks, never one from the middle (see walfs.go).
//
// Every value carries a format version and a checksum over its own key and value, verified whenever it is read from
// the sorted store: a flipped bit, or a row that ended up under another key, is ErrUnreadable and never data.
//
// A Store has a single caller: its methods, and the replicas that it hands out, are not safe for concurrent use.
// Exceptions: Sync, Stats, Meta and SetMeta may run beside anything but Close; Sync and Stats also beside and after it.
// No method waits for time to pass, and no mutex is held across such a wait.
//
// It does not decide anything about causality (package causal does), issues no dots, talks to nobody, starts no
// goroutine of its own, and never repairs: what is unreadable is reported to the caller. Trimming the log, reaping
// tombstones and hints are not here yet; their keyspaces and the horizon are reserved.
package engine
