package wire

import (
	"shoal/causal"
	"shoal/ring"
)

// Kind says what an item is.
type Kind uint8

// The items. Values are part of the peer protocol: append, never renumber.
const (
	ItemInvalid    Kind = iota
	ItemOp              // an operation forwarded to a coordinator: ID, Hop, Deadline, Op
	ItemResult          // its answer: ID, Result; FlagRefused: another owner may do it
	ItemWrite           // a container to take in: ID, Partition, Slot, Key, Life, Row
	ItemFlush           // a range tombstone to take in: ID, Partition, Life, Dot, Clock
	ItemAck             // answer to ItemWrite and ItemFlush: ID, FlagRefused, FlagUncovered
	ItemRead            // what do you hold: ID, Partition, Slot, Key, Digest of what the reader holds
	ItemRow             // answer to ItemRead: ID, FlagSame or Row, FlagWhole, FlagRefused; with FlagFlushed Clock
	ItemClockRead       // what have you processed: ID, Partition
	ItemClock           // its answer: ID, Clock, FlagWhole, FlagRefused
	ItemPull            // what do I lack: ID, Partition, Life, Clock, Repair.Durable
	ItemPulled          // its answer: ID, Partition, Life, Repair.Durable, Entries, Rows, and with FlagComplete Clock and Horizon; FlagRefused: the clock shown does not cover Horizon
	ItemMap             // a ring map: Blob; empty: please send yours
	ItemAgree           // a message of the map agreement: Blob
	ItemSurvey          // a question between members that node answers: ID, Blob
	ItemSurveyed        // its answer: ID, Blob
	ItemWritten         // answer to an ItemOp with FlagShared: ID, Life, Row to take in, Result, FlagShared
	ItemSums            // hash what you hold under a leaf, child by child: ID, Partition, At, Horizon, Leaves (one)
	ItemKeys            // list what you hold under leaves: ID, Partition, At, Horizon, Leaves
	ItemHashed          // answer to both: ID, Partition, Horizon, Digests (of children, or of keys), FlagComplete: none was left out
	ItemFetch           // the rows of keys: ID, Partition, Digests as the asker has them; FlagShared: see whether yours is lost
	ItemFetched         // answer: ID, Partition, Clock before the rows were read, Rows of the first of the keys, in their order; FlagRefused: the first one's cannot be read
	ItemHint            // a copy to keep for owners that cannot be reached, answered by ItemAck: ID, Partition, Slot, Key, Life, Row
	ItemDurable         // what is durable at your replica: ID, Partition
	ItemAdvert          // its answer: ID, Partition, Life, Repair.Durable, FlagRefused
	ItemFill            // the rows of the next range: ID, Digest: number of the range from 0; Partition; but for range 0 Slot, Key: after this row
	ItemFilled          // its answer: ID, Digest, Partition, Life, Clock before the rows were read, Repair.Flushed, Horizon, Entries (of range 0: flushes), Rows; FlagComplete: none follow; FlagWhole, FlagRefused
	ItemActor           // what do you know of an actor whose life is over, which is fenced from now on: ID, Digest: the map's epoch; Partition, Life (of the actor), Repair.Boots
	ItemActorKnown      // its answer: ID, Partition, Life (of the actor), Clock: its dots; Digest: its highest seq known; FlagShared: a hint is held; FlagRefused: it is not over, or this replica is being filled, or Boots are not those connected here
	ItemClose           // an actor's dots that are not in Clock exist nowhere: Partition, Life (of the actor), Digest: its highest seq; Clock
	ItemFilling         // the sender's replicas that are being filled: ID: counts up in a connection; Blob: a bit per partition, the lowest bit of the first byte first
	itemKinds
)

// Flags of an item.
type Flags uint8

// The flags.
const (
	FlagSame       Flags = 1 << iota // the answerer holds exactly what Digest says
	FlagWhole                        // the answerer's replica is whole: its answer counts towards R
	FlagRefused                      // nothing was done: not an owner here, older map, or not able to
	FlagUncovered                    // the row held a live dot that the write had not seen
	FlagComplete                     // nothing that the puller lacked was left out
	FlagHandedOver                   // an owner hands the operation to the first owner: coordinate it or refuse it
	FlagFlushed                      // Clock is what flushes dropped at the answerer
	FlagShared                       // ItemFetch: see there. ItemOp: the asker is an owner and takes the outcome in itself; ItemWritten: the value of Row's only version is the operation's and left out
)

// LogEntry names a dot and the key it belongs to; with Dropped it is a range tombstone and has no key.
type LogEntry struct {
	Dot     causal.Dot
	Slot    ring.Slot
	Key     []byte
	Dropped *causal.Clock
}

// Ref names a row.
type Ref struct {
	Partition ring.Partition
	Slot      ring.Slot
	Key       []byte
}

// KeyRow is a row by key.
type KeyRow struct {
	Slot ring.Slot
	Key  []byte
	Row  causal.Container
}

// Leaf names some of the rows of a partition: at depth 0 all, at depth 1 those of a slot, and with each further level
// those with one more byte, from the front, of their keys' hash in common, which are the upper bytes of Prefix.
type Leaf struct {
	Depth  uint8
	Slot   ring.Slot
	Prefix uint64
}

// KeyDigest is the hash of a row by key, or of a leaf's child: then Key is empty and Slot the child's slot or byte.
type KeyDigest struct {
	Slot   ring.Slot
	Key    []byte
	Digest uint64
}

// Compare are fields of the items of a comparison, apart so that the items of every write need not carry them.
type Compare struct {
	At      int64 // unix ms at which versions count as expired or not
	Leaves  []Leaf
	Digests []KeyDigest
}

// Repair are fields of the items of repair, apart for the same reason.
type Repair struct {
	Durable *causal.Clock // the sender's clock as of its last fsync
	Flushed *causal.Clock // what flushes have dropped at the sender
	Boots   []Boot        // the members' incarnations, as the sender is connected with them
}

// Boot is an incarnation of a node.
type Boot struct {
	Node        ring.NodeID
	Incarnation causal.Actor
}

// Out is an item for a peer.
type Out struct {
	To   ring.NodeID
	Item Item
}

// Item is one message of a frame. Which fields count depends on Kind. A decoded item aliases the frame's bytes.
type Item struct {
	Kind      Kind
	Flags     Flags
	Partition ring.Partition
	Slot      ring.Slot
	ID        uint64 // of the question; answers repeat it
	Deadline  int64  // ItemOp: unix ms after which it must not begin; travels in the frame's header
	Life      causal.Actor
	Digest    uint64
	Dot       causal.Dot
	Key       []byte
	Op        *Op     // ItemOp: never nil
	Result    *Result // ItemResult, ItemWritten: never nil
	Row       causal.Container
	Clock     *causal.Clock
	Horizon   causal.Vector
	Entries   []LogEntry
	Rows      []KeyRow
	Blob      []byte
	Compare   *Compare // ItemSums, ItemKeys, ItemHashed, ItemFetch: never nil
	Repair    *Repair  // ItemPull, ItemPulled, ItemAdvert, ItemFilled, ItemActor: never nil when decoded
}

// Has reports whether the flag is set.
func (it *Item) Has(f Flags) bool { return it.Flags&f != 0 }
