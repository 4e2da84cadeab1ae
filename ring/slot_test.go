package ring

import "testing"

// The numbers come from Redis Cluster's specification and redis-server's CLUSTER KEYSLOT.
func TestSlotOfIsRedisClusters(t *testing.T) {
	if got := crc16([]byte("123456789")); got != 0x31C3 {
		t.Errorf("crc16 of the specification's test string = %#x, want 0x31c3", got)
	}
	for key, want := range map[string]Slot{"": 0, "foo": 12182, "bar": 5061, "hello": 866, "somekey": 11058, "foo{hash_tag}": 2515} {
		if got := SlotOf([]byte(key)); got != want {
			t.Errorf("SlotOf(%q) = %d, want %d", key, got, want)
		}
	}
}

func TestHashTag(t *testing.T) {
	for key, want := range map[string]string{
		"{user1000}.following": "user1000",
		"foo{}{bar}":           "foo{}{bar}", // nothing between the first pair: the whole key
		"foo{{bar}}zap":        "{bar",       // first '{' to first '}' after it
		"foo{bar}{zap}":        "bar",
		"foo}bar{":             "foo}bar{",
		"}{a}":                 "a",
		"{":                    "{",
	} {
		if got := hashTag([]byte(key)); string(got) != want {
			t.Errorf("hashTag(%q) = %q, want %q", key, got, want)
		}
	}
}

func TestPartitionsCutTheSlotsIntoEqualRuns(t *testing.T) {
	for _, q := range []int{1, 2, 256, 1024, Slots} {
		m := &Map{Q: q}
		next := 0
		for p := range q {
			first, last := m.SlotRange(Partition(p))
			if int(first) != next || int(last) != next+Slots/q-1 {
				t.Fatalf("Q=%d: partition %d is %d-%d, want it to start at %d", q, p, first, last, next)
			}
			if m.PartitionOfSlot(first) != Partition(p) || m.PartitionOfSlot(last) != Partition(p) {
				t.Fatalf("Q=%d: the ends of partition %d lie elsewhere", q, p)
			}
			next = int(last) + 1
		}
	}
}
