package wire

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"shoal/causal"

	"pgregory.net/rapid"
)

// An item of each kind, with every field that its kind carries.
func oneOfEach() []Item {
	row := causal.Container{
		Versions: []causal.Version{{Dot: causal.Dot{Actor: 7, Seq: 3}, Kind: causal.KindString, HLC: 9, Expiry: 5, Payload: []byte("v")}},
		Vector:   causal.Vector{{Actor: 7, Seq: 3}, {Actor: 8, Seq: 1}},
	}
	clock := new(causal.Clock)
	clock.Add(causal.Dot{Actor: 7, Seq: 1})
	clock.Add(causal.Dot{Actor: 7, Seq: 3})
	op := Op{
		Code: OpVSet, TTL: TTLAbsolute, ReadOne: true, Partition: 3, Slot: 9, At: -4,
		Key: []byte("k"), Value: []byte("v"), Context: []byte("c"),
	}
	result := Result{
		Status: Uncertain, Found: true, Kind: causal.KindString, Reached: 1, Wanted: 2, Int: -2,
		Value: []byte("v"), Context: []byte("c"), Err: "why",
		Siblings: []Sibling{{Value: []byte("s"), Dot: causal.Dot{Actor: 7, Seq: 3}, UnixMs: 12}},
	}
	return []Item{
		{Kind: ItemOp, ID: 1, Op: &op, Flags: FlagHandedOver},
		{Kind: ItemResult, ID: 2, Result: &result},
		{Kind: ItemWrite, ID: 3, Partition: 1, Slot: 2, Key: []byte("k"), Life: 7, Row: row},
		{Kind: ItemFlush, ID: 4, Partition: 1, Life: 7, Dot: causal.Dot{Actor: 7, Seq: 4}, Clock: clock},
		{Kind: ItemAck, ID: 5, Flags: FlagUncovered},
		{Kind: ItemRead, ID: 6, Partition: 1, Slot: 2, Key: []byte("k"), Digest: 99},
		{Kind: ItemRow, ID: 7, Flags: FlagWhole, Row: row},
		{Kind: ItemRow, ID: 8, Flags: FlagSame},
		{Kind: ItemRow, ID: 8, Flags: FlagFlushed, Row: row, Clock: clock},
		{Kind: ItemClockRead, ID: 9, Partition: 1},
		{Kind: ItemClock, ID: 10, Clock: clock, Flags: FlagWhole},
		{Kind: ItemClock, ID: 11, Flags: FlagRefused},
		{Kind: ItemPull, ID: 12, Partition: 1, Life: 7, Clock: clock, Repair: &Repair{Durable: clock}},
		{Kind: ItemPulled, ID: 13, Partition: 1, Life: 7, Flags: FlagRefused, Horizon: row.Vector, Repair: &Repair{Durable: clock}},
		{Kind: ItemPulled, ID: 13, Partition: 1, Life: 7, Repair: &Repair{Durable: clock}, Flags: FlagComplete, Clock: clock, Horizon: row.Vector,
			Entries: []LogEntry{
				{Dot: causal.Dot{Actor: 7, Seq: 3}, Slot: 2, Key: []byte("k")},
				{Dot: causal.Dot{Actor: 7, Seq: 4}, Dropped: clock},
			},
			Rows: []KeyRow{{Slot: 2, Key: []byte("k"), Row: row}}},
		{Kind: ItemMap, Blob: []byte("map")},
		{Kind: ItemAgree, Blob: []byte("msg")},
		{Kind: ItemSurvey, ID: 14, Blob: []byte("q")},
		{Kind: ItemSurveyed, ID: 15, Blob: []byte("a")},
		{Kind: ItemWritten, ID: 16, Life: 7, Row: row, Result: &Result{Int: 1}},
		{Kind: ItemSums, ID: 17, Partition: 1, Horizon: row.Vector, Compare: &Compare{At: -4, Leaves: []Leaf{{Depth: 2, Slot: 3, Prefix: 1 << 60}}}},
		{Kind: ItemKeys, ID: 18, Partition: 1, Horizon: row.Vector, Compare: &Compare{At: 4, Leaves: []Leaf{{Depth: 1, Slot: 3}, {Depth: 1, Slot: 4}}}},
		{Kind: ItemHashed, ID: 19, Partition: 1, Flags: FlagComplete, Horizon: row.Vector, Compare: &Compare{Digests: []KeyDigest{{Slot: 3, Digest: 9}}}},
		{Kind: ItemFetch, ID: 20, Partition: 1, Flags: FlagShared, Compare: &Compare{Digests: []KeyDigest{{Slot: 3, Key: []byte("k"), Digest: 9}}}},
		{Kind: ItemFetched, ID: 21, Partition: 1, Clock: clock, Rows: []KeyRow{{Slot: 2, Key: []byte("k"), Row: row}}},
		{Kind: ItemHint, ID: 22, Partition: 1, Slot: 2, Key: []byte("k"), Life: 7, Row: row},
		{Kind: ItemDurable, ID: 23, Partition: 1},
		{Kind: ItemAdvert, ID: 24, Partition: 1, Life: 7, Repair: &Repair{Durable: clock}},
		{Kind: ItemFill, ID: 25, Digest: 3, Partition: 1, Slot: 2, Key: []byte("k")},
		{Kind: ItemFilled, ID: 26, Digest: 3, Partition: 1, Life: 7, Clock: clock, Repair: &Repair{Flushed: clock}, Horizon: row.Vector,
			Entries: []LogEntry{{Dot: causal.Dot{Actor: 7, Seq: 4}, Dropped: clock}},
			Rows:    []KeyRow{{Slot: 2, Key: []byte("k"), Row: row}}},
		{Kind: ItemFilled, ID: 27, Digest: 3, Partition: 1, Flags: FlagRefused, Repair: &Repair{}},
		{Kind: ItemActor, ID: 28, Digest: 3, Partition: 1, Life: 7, Repair: &Repair{Boots: []Boot{{Node: 5, Incarnation: 6}, {Node: 7, Incarnation: 8}}}},
		{Kind: ItemActorKnown, ID: 29, Partition: 1, Life: 7, Clock: clock, Digest: 4},
		{Kind: ItemActorKnown, ID: 30, Partition: 1, Life: 7, Flags: FlagRefused},
		{Kind: ItemClose, Partition: 1, Life: 7, Clock: clock, Digest: 4},
		{Kind: ItemFilling, Blob: []byte{5}},
	}
}

var someHeader = Header{Version: ProtocolVersion, Capabilities: CapPassOver, Epoch: 3, HLC: 1 << 40}

func encode(h Header, items []Item, maxBytes int) (frames [][]byte) {
	const room = 12
	AppendFrames(nil, h, Encoded{}, items, maxBytes, room, func(unit []byte) {
		frames = append(frames, bytes.Clone(unit[room:]))
		clear(unit[:room]) // the room is emit's to write on
	})
	return frames
}

func TestEveryItemComesBackAsItWasSent(t *testing.T) {
	items := oneOfEach()
	for i := range items {
		items[i].Deadline = 1234 // of the frame, so of all its items
	}
	frames := encode(someHeader, items, 1<<20)
	if len(frames) != 1 {
		t.Fatalf("%d frames", len(frames))
	}
	h, got, err := DecodeFrame(frames[0])
	want := someHeader
	want.Deadline = 1234
	if err != nil || h != want {
		t.Fatalf("header %+v, %v", h, err)
	}
	for i := range items {
		if !reflect.DeepEqual(got[i], items[i]) {
			t.Errorf("item %d: got %+v, want %+v", i, got[i], items[i])
		}
	}
}

func TestEveryKindIsCovered(t *testing.T) {
	seen := map[Kind]bool{}
	for _, it := range oneOfEach() {
		seen[it.Kind] = true
	}
	for k := ItemInvalid + 1; k < itemKinds; k++ {
		if !seen[k] {
			t.Errorf("kind %d has no example", k)
		}
	}
}

// Operations with different deadlines cannot share a header. Everything else keeps its order and fills frames.
func TestFramesAreSplitByDeadlineAndSize(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		maxBytes := rapid.IntRange(1, 400).Draw(t, "maxBytes")
		var items []Item
		for i := range rapid.IntRange(0, 30).Draw(t, "items") {
			it := Item{Kind: ItemMap, ID: uint64(i), Blob: make([]byte, rapid.IntRange(0, 120).Draw(t, "size"))}
			if rapid.Bool().Draw(t, "op") {
				it = Item{Kind: ItemOp, ID: uint64(i), Op: &Op{Code: OpGet, Key: []byte("k")}, Deadline: rapid.Int64Range(1, 3).Draw(t, "deadline")}
			}
			items = append(items, it)
		}
		next := 0
		for _, f := range encode(someHeader, items, maxBytes) {
			_, got, err := DecodeFrame(f)
			if err != nil || len(got) == 0 {
				t.Fatalf("frame of %d items: %v", len(got), err)
			}
			if len(f) > maxBytes && len(got) > 1 {
				t.Fatalf("a frame of %d items and %d bytes, more than %d", len(got), len(f), maxBytes)
			}
			for _, it := range got {
				want := items[next]
				if it.ID != want.ID || it.Kind != want.Kind || it.Kind == ItemOp && it.Deadline != want.Deadline {
					t.Fatalf("item %d: got %+v, want %+v", next, it, want)
				}
				next++
			}
		}
		if next != len(items) {
			t.Fatalf("%d of %d items arrived", next, len(items))
		}
	})
}

func TestAFrameHasABoundedNumberOfItems(t *testing.T) {
	items := make([]Item, MaxItems+5)
	for i := range items {
		items[i] = Item{Kind: ItemAck, ID: uint64(i)}
	}
	frames := encode(someHeader, items, 1<<30)
	if len(frames) != 2 {
		t.Fatalf("%d frames", len(frames))
	}
	_, rest, err := DecodeFrame(frames[1])
	if err != nil || len(rest) != 5 {
		t.Fatalf("the second frame has %d items, %v", len(rest), err)
	}
	tooMany := append(frames[0], frames[1][headerSize:]...)
	if _, _, err := DecodeFrame(tooMany); !errors.Is(err, ErrMalformed) {
		t.Fatalf("more than MaxItems: %v", err)
	}
}

// A length is checked against what can follow before anything is allocated for it.
func TestLengthsAreNotBelieved(t *testing.T) {
	head := someHeader.append(nil)
	for name, body := range map[string][]byte{
		"a key of 2^60 bytes":       {byte(ItemRead), 0, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f},
		"a row of 4 GiB":            {byte(ItemRow), 0, 1, 0xff, 0xff, 0xff, 0xff},
		"2^35 log entries":          {byte(ItemPulled), 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0x7f},
		"an unknown kind":           {byte(itemKinds), 0, 1},
		"a slot beyond the last":    {byte(ItemRead), 0, 1, 0, 0, 0x40, 0, 0},
		"an operation without code": {byte(ItemOp), 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
	} {
		frame := append(bytes.Clone(head), body...)
		allocated := testing.AllocsPerRun(100, func() { // others allocate meanwhile: their part is small
			if _, _, err := DecodeFrame(frame); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s: %v", name, err)
			}
		})
		if allocated > 30 {
			t.Errorf("%s: %v allocations", name, allocated)
		}
	}
}

// Any bytes are decoded without a panic, and what decodes is encoded to something that decodes to the same.
func FuzzDecodeFrame(f *testing.F) {
	for _, it := range oneOfEach() {
		f.Add(encode(someHeader, []Item{it}, 1<<20)[0])
	}
	f.Add(encode(someHeader, oneOfEach(), 1<<20)[0])
	f.Fuzz(func(t *testing.T, frame []byte) {
		h, items, err := DecodeFrame(frame)
		if err != nil {
			if !errors.Is(err, ErrMalformed) || len(items) != 0 {
				t.Fatalf("%d items, %v", len(items), err)
			}
			return
		}
		again := encode(h, items, 1<<30)
		if len(items) == 0 {
			return
		}
		_, second, err := DecodeFrame(again[0])
		if err != nil || len(second) != len(items) {
			t.Fatalf("%d items came back as %d, %v", len(items), len(second), err)
		}
		for i := range items {
			items[i].Deadline, second[i].Deadline = 0, 0 // without an operation inside, a frame has no deadline
			if !reflect.DeepEqual(items[i], second[i]) {
				t.Fatalf("item %d: %+v came back as %+v", i, items[i], second[i])
			}
		}
	})
}

// Items that were encoded before come first, in the same frame as far as that has room.
func TestEncodedItemsComeFirst(t *testing.T) {
	all := oneOfEach()[1:]
	for k := range all {
		var first Encoded
		for i := range k {
			first.Bytes = all[i].Append(first.Bytes)
		}
		first.Items = k
		for _, rest := range [][]Item{all[k:], nil} {
			var got []Item
			AppendFrames(nil, someHeader, first, rest, len(first.Bytes)+headerSize+40, 3, func(unit []byte) {
				_, items, err := DecodeFrame(bytes.Clone(unit[3:]))
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, items...)
			})
			if len(got) != k+len(rest) {
				t.Fatalf("%d of %d items", len(got), k+len(rest))
			}
			for i := range got {
				if got[i].Kind != all[i].Kind || got[i].ID != all[i].ID {
					t.Fatalf("item %d is %v", i, got[i].Kind)
				}
			}
		}
	}
}
