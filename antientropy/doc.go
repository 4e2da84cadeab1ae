// Package antientropy brings replicas together without a client asking: the PULL by which an owner takes from every
// other owner what its clock lacks. One exchange is catch-up, boot check and take-over at once; a pure machine.
//
//	D -> S  pull{id, life, clock, durable clock}
//	S       c := my clock now; answer{id, life, durable clock, log entries that D's clock lacks, their rows as read after c, and,
//	        if nothing was left out for size, c and my horizon}
//	D       merge the rows by the late-message rule, mark the listed dots; with c, and if the clock that D asked with
//	        covers that horizon: my clock := my clock + c, pulled[S]
//
// The take-over of c is the most dangerous sentence of the protocol: c must be taken before the first row was read,
// and nothing that D lacked may be missing from the answer. Therefore an answer is one message, never a series whose
// pieces could be mixed with another answer's; what does not fit is asked for again with the larger clock, and only
// an answer that left nothing out carries c. A listed dot is exact in itself, so marking it needs no such care.
//
// A replica whose clock does not cover another one's horizon is behind it: no log can tell it what it lacks. It is filled
// from any other replica, range by range, and so is one that begins empty in a lost node's place: Refiller.
//
//	D       filling := true, durably; a new life; no read, no write, no place
//	D -> S  fill{k-th range, after this row}
//	S       c := my clock now; filled{my life, rows, c, my flushes, my horizon; k = 0: also the log's flushes}
//	D       our versions that c has and their rows lack go, if S can say why; merge their rows by the late-message rule
//	        after the last range: my clock := my clock + c of range 0, if that covers the last horizon; flushes, horizon too
//	        S whole, or every other owner merged: filling := false, durably; then PULL until whole
//
// What the clocks cannot see, a row that vanished or is damaged, is found by the comparison of replicas: Comparer.
//
// What all owners hold durably (Lives, which pulls tell) is forgotten: Reaper. What died with a life and would hold that
// back is declared void: Closer.
//
// It keeps no rows, opens no connection and does not read a key for a
// client (coord does).
package antientropy
