// Package coord is the quorum protocol of reads and writes as a pure machine: operations, peers' items and the time
// go in; items for peers and results come out. Vectors go in and out; nothing is per operation but the state that
// waits for a quorum.
//
// The rules (DESIGN.md says why each is needed):
//   - Only owners coordinate. The coordinator is the first live owner; an owner that is asked while an earlier one is
//     up hands the operation over to it. A non-owner forwards once.
//   - A write needs W places, each met by its owner or, unless Strict, by a hinted copy at the next live fallback, which
//     is asked when no owner is left to ask. One owner, the coordinator, is always among them.
//   - A plain write's context is everything the coordinator holds. The whole container is sent, never a lone version.
//   - A coordinator that is not the first owner, or whose replica is not whole since its boot, reads a quorum before
//     it writes.
//   - A replica that is being filled answers nothing, coordinates nothing and is no place; one that is not whole leaves
//     coordinating to another owner while there is one. Who is asked and cannot says so, and the next owner is asked.
//   - A read merges what others hold by the late-message rule into the local row, writes what is missing to R owners,
//     and only then answers from the local row.
//   - Where fewer than R owners answer, and unless Strict, what fallbacks keep is merged in too; it agrees with nobody.
//   - NoReplicas, ClusterDown and TryAgain mean that nothing was written anywhere; after the first copy is written
//     the only failure is Uncertain.
//
// It holds no rows (Store does, synchronously and deterministically), knows no sockets and no clock, does not decide
// who is alive or who owns what, keeps no hints (handoff does), and does not bring replicas together outside of reads (antientropy does).
package coord
