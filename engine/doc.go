// Package engine keeps containers on disk: one row per key, a log of processed dots, and the clock of every partition
// replica. The three go back together after a crash, because all of them follow from one log.
//
// A tick is what became ready together: any number of Put, Mark, Flush, Adopt, Reap, Trim and PutHint, then EndTick.
// When EndTick returns the bytes are with the operating system, so that kill -9 loses nothing; when they are on the
// disk is the Durability's business. A power cut loses a suffix of the ticks, never one from the middle.
//
// There are three places:
//
//   - The log (seglog.go, segment.go, entry.go, spares.go): a row of segments of which the last is written; a tick is
//     one record and one write. It is also the log of dots: an index in memory (dots.go) finds a partition's dots in
//     it.
//   - Memory (slab.go, table.go, rows.go, reclaim.go): the rows used last, and all that the sorted store does not have
//     yet, within a budget. Reading and writing touch nothing else while the data fits.
//   - The sorted store, Pebble (round.go, ends.go, spiller.go): when much of the log is used, everything that its older
//     full segments alone hold is written to sorted tables, which Pebble takes in as a whole, with the clocks as they were
//     at the end of those segments. Then the segments are used again. Pebble has no log of its own and is never written
//     to otherwise.
//
// Why they agree. Pebble is changed in single steps, and after each it holds the state at some tick, its mark, but for
// rows that were written again behind the mark, which may be older there; the log behind the mark has those. A step is
// taken only after an fsync of the log up to the last write that was seen when the step was put together, so Pebble
// never holds what the log may still lose, nor lacks what only a lost record would make up. Open reads Pebble, then
// the log behind the mark, in sequence, and stops where it ends.
//
// Open then counts the rows, which verifies every checksum and fills memory. After a clean stop the counters are in a
// file (countfile.go), and when the sorted store is large they are taken from there: rows are then read, and verified,
// when they are asked for.
//
// Where the log ends early is judged by what lies behind: each record says up to where everything was durable when it
// was written. When nothing behind knew the missing record to be durable, a crash tore it, and it is cut; but not behind a
// clean stop, which tears none. Else the disk lost what it had promised to keep (lost.go): the state before that is a state
// of the past, which Open takes, says so (TailMayBeLost) and keeps the damaged segments aside. A replica whose clock may say
// more than its rows hold must not take part: it begins empty, to be filled.
//
// Every row carries a format version and a checksum over its own name and value, made once when it is put, and
// verified whenever it is read from the sorted store: a flipped bit, or a row that ended up under another key, is
// ErrUnreadable and never data. Records and entries of the log have their own.
//
// A full disk: Full says so before anything is done, while the room allocated for the segment still holds what is
// under way. Reads go on, nothing is lost, and it ends by itself. A failed fsync, or a failed write for any other
// reason, ends the store.
//
// A Store has a single caller: its methods, and the replicas that it hands out, are not safe for concurrent use.
// Exceptions: Sync, Stats, Meta and SetMeta may run beside anything but Close; Sync and Stats also beside and after it.
// The store has two goroutines of its own, one that makes the next segment ready and one that fills Pebble; both end
// at Close. No method waits for time to pass. EndTick waits for the second of them only when the log is at its limit.
// No mutex is held across a wait.
//
// It does not decide anything about causality (package causal does), issues no dots, talks to nobody, and never
// repairs from elsewhere: what is unreadable is reported to the caller (Walk verifies all rows).
// What to reap, to trim and to adopt is the caller's decision; the store does it in one step with the horizon
// (horizon.go).
package engine
