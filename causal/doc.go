// Package causal knows what happened before what: dots, vectors, contexts, the container that holds a key's
// concurrent versions, and the partition clock that says which dots a replica has processed.
//
// The container is the dotted causal container of server-wide clocks (Gonçalves, Almeida, Baquero, Fonte: "DottedDB:
// Anti-Entropy without Merkle Trees, Deletes without Tombstones", SRDS 2017): a map from dot to version, and the
// vector of everything that the container has taken in.
//
// Invariant of a container: if its vector says (A,6), then every dot of A up to 6 for that key is in it or was
// superseded. Therefore a container always travels whole. A lone (A,6) would make a late, concurrent (A,5) look seen.
//
// It does not store anything, knows no nodes, quorums or time (a caller passes now in unix milliseconds), and never
// decides who may write.
package causal
