package resp

import (
	"strings"
	"sync"
	"time"

	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// cmdNow is the time of every command test. It is in the future: the deadlines of real connections are set by it.
var cmdNow = time.UnixMilli(4_000_000_000_000)

// cmdBackend is a node with everything in a map and one version per key. A key that begins with "fail:" answers the
// result stored for it.
type cmdBackend struct {
	mu       sync.Mutex
	values   map[string]cmdValue
	fails    map[string]wire.Result
	seen     []wire.Op // every operation, copied
	ready    string
	ring     *ring.Map
	self     ring.NodeID
	dead     map[ring.NodeID]bool
	info     map[string][]InfoField
	repaired []int
	now      func() time.Time
}

type cmdValue struct {
	data   string
	expiry int64
}

func newCmdBackend() *cmdBackend {
	first := ring.Member{ID: 1, Name: "a", Client: "10.0.0.1:6379", Peer: "10.0.0.1:16379", Weight: 1}
	return &cmdBackend{
		values: map[string]cmdValue{}, fails: map[string]wire.Result{}, dead: map[ring.NodeID]bool{},
		info: map[string][]InfoField{}, self: 1, now: func() time.Time { return cmdNow },
		ring: ring.Found(ring.ClusterID{1}, [32]byte{2}, 3, 4, first),
	}
}

func (b *cmdBackend) Exec(ops []wire.Op, out []wire.Result) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range ops {
		op := ops[i]
		op.Key, op.Value = []byte(string(op.Key)), []byte(string(op.Value))
		b.seen = append(b.seen, op)
		if r, ok := b.fails[string(op.Key)]; ok {
			out[i] = r
			continue
		}
		out[i] = b.exec(&op)
	}
}

func (b *cmdBackend) exec(op *wire.Op) wire.Result {
	key, now := string(op.Key), b.now().UnixMilli()
	have, found := b.values[key]
	if found && have.expiry != 0 && have.expiry <= now {
		have, found = cmdValue{}, false
		delete(b.values, key)
	}
	r := wire.Result{Found: found, Kind: causal.KindString}
	if found {
		r.Int = 1
	}
	switch op.Code {
	case wire.OpGet:
		r.Value = []byte(have.data)
	case wire.OpStrlen:
		r.Int = int64(len(have.data))
	case wire.OpExists, wire.OpType, wire.OpSiblings:
	case wire.OpExpiry:
		switch r.Int = have.expiry; {
		case !found:
			r.Int = wire.ExpiryMissing
		case have.expiry == 0:
			r.Int = wire.ExpiryNone
		case op.TTL == wire.TTLRelative:
			r.Int = max(0, have.expiry-now)
		}
	case wire.OpVGet:
		r.Context = []byte("ctx:" + have.data)
		if found {
			r.Siblings = []wire.Sibling{{Value: []byte(have.data), Dot: causal.Dot{Actor: 0xabc, Seq: 7}, UnixMs: now}}
		}
	case wire.OpSet, wire.OpVSet:
		b.values[key] = cmdValue{string(op.Value), expiryOf(op, have.expiry, now)}
		r.Context = []byte("ctx:" + string(op.Value))
	case wire.OpDel, wire.OpVDel:
		delete(b.values, key)
	case wire.OpExpire:
		if found {
			b.values[key] = cmdValue{have.data, expiryOf(op, have.expiry, now)}
		}
	case wire.OpPersist:
		if r.Int = 0; found && have.expiry != 0 {
			b.values[key] = cmdValue{have.data, 0}
			r.Int = 1
		}
	}
	return r
}

func expiryOf(op *wire.Op, have, now int64) int64 {
	switch op.TTL {
	case wire.TTLRelative:
		return now + op.At
	case wire.TTLAbsolute:
		return op.At
	case wire.TTLKeep:
		return have
	}
	return 0
}

func (b *cmdBackend) Ready() string { return b.ready }

func (b *cmdBackend) DBSize() (int64, wire.Result) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return int64(len(b.values)), b.fails["dbsize"]
}

func (b *cmdBackend) Flush() wire.Result {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.values)
	return b.fails["flush"]
}

func (b *cmdBackend) CountSlot(slot ring.Slot) (int64, wire.Result) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := int64(0)
	for key := range b.values {
		if ring.SlotOf([]byte(key)) == slot {
			n++
		}
	}
	return n, wire.Result{}
}

func (b *cmdBackend) Ring() *ring.Map          { return b.ring }
func (b *cmdBackend) Self() ring.NodeID        { return b.self }
func (b *cmdBackend) Live(id ring.NodeID) bool { return !b.dead[id] }
func (b *cmdBackend) Info(section string) []InfoField {
	return b.info[strings.ToLower(section)]
}

func (b *cmdBackend) Repair(partition int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.repaired = append(b.repaired, partition)
	return 2
}

func (b *cmdBackend) Divergence() []PeerDivergence {
	return []PeerDivergence{{Peer: 2, Partitions: 4, Differed: 1, AgeMs: 1500}, {Peer: 3, AgeMs: -1}}
}

func (b *cmdBackend) Digests() []PartitionDigest {
	return []PartitionDigest{{Partition: 0, Keys: 3, Hash: 0xabc}, {Partition: 3}}
}
