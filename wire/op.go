package wire

import (
	"shoal/causal"
	"shoal/ring"
)

// Code names an operation. An operation travels as a code and its arguments and is evaluated by the coordinator on
// the container it holds; a ready-made value never travels as an operation.
type Code uint8

// The operations. Values are part of the peer protocol: append, never renumber.
const (
	OpInvalid   Code = iota
	OpGet            // Result.Found, Result.Value
	OpStrlen         // Result.Int: bytes of the value, 0 when missing
	OpExists         // Result.Int: 0 or 1; EXISTS and TOUCH
	OpType           // Result.Found, Result.Kind
	OpExpiry         // Result.Int: absolute expiry in unix ms, with TTLRelative the ms left; ExpiryNone or ExpiryMissing
	OpVGet           // Result.Context, Result.Siblings
	OpSiblings       // Result.Int: live values
	OpSet            // plain SET: everything the coordinator holds is the context
	OpDel            // Result.Int: 1 when a live value was removed
	OpExpire         // set the expiry of every live value; Result.Int 1 when there was one
	OpPersist        // remove it; Result.Int 1 when a live value had one
	OpVSet           // Op.Context is the client's; Result.Context is the new one
	OpVDel           // Op.Context is the client's; Result.Int: values removed
	OpFlush          // drop everything in Op.Partition (range tombstone)
	OpCount          // Result.Int: live keys in Op.Partition (Op.Key nil)
	OpCountSlot      // Result.Int: live keys in Op.Slot
)

// What OpExpiry answers beside a time.
const (
	ExpiryNone    int64 = -1 // the key has no expiry
	ExpiryMissing int64 = -2 // there is no such key
)

// Write reports whether the operation may change data.
func (c Code) Write() bool { return c >= OpSet && c <= OpFlush }

// Keyed reports whether the operation is about one key (as opposed to a partition or a slot).
func (c Code) Keyed() bool { return c >= OpGet && c <= OpVDel }

// TTL says what an operation does with the expiry.
type TTL uint8

// The expiry modes. At is then in milliseconds.
const (
	TTLClear    TTL = iota // no expiry (plain SET)
	TTLRelative            // At ms after the coordinator's now
	TTLAbsolute            // At is unix time in ms
	TTLKeep                // keep what the shown value has (KEEPTTL)
)

// Op is one operation of a vector.
type Op struct {
	Code      Code
	TTL       TTL
	ReadOne   bool // an owner may answer a read from its own rows (R=1, READONLY)
	Partition ring.Partition
	Slot      ring.Slot
	At        int64 // ms, see TTL
	Key       []byte
	Value     []byte
	Context   []byte
}

// Status is the outcome of an operation.
type Status uint8

// The outcomes. Every status but OK and Uncertain means: certainly nothing was written anywhere.
const (
	OK              Status = iota
	NoReplicas             // fewer than W owners reachable, nothing was sent
	ClusterDown            // too few owners for the read
	TryAgain               // refused before anything was written; retry
	Loading                // this node has no map yet
	Uncertain              // Reached of Wanted replicas have the write
	TooManySiblings        // VSET refused: sibling cap
	BadContext             // Op.Context is of another key or cluster, or damaged
	Failed                 // Result.Err says why
)

// Sibling is one live value as VGET shows it.
type Sibling struct {
	Value  []byte
	Dot    causal.Dot
	UnixMs int64 // physical part of the version's hlc
}

// Result is the answer to one Op.
type Result struct {
	Status   Status
	Found    bool
	Kind     causal.Kind
	Reached  uint8
	Wanted   uint8
	Int      int64
	Value    []byte
	Context  []byte
	Siblings []Sibling
	Err      string
}
