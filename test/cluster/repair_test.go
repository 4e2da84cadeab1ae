package cluster

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"shoal/node"
)

// digests waits until all nodes, each an owner of everything, have the same, with so many keys.
func (w *world) digests(nodes []*redis.Client, keys int64, within time.Duration) {
	w.t.Helper()
	w.eventually(within, "all owners have equal digests", func() string {
		var first any
		for i, c := range nodes {
			got := do(w.t, c, "CLUSTER", "DIGEST")
			count := int64(0)
			for _, row := range got.([]any) {
				count += row.([]any)[1].(int64)
			}
			if i == 0 {
				first = got
			}
			if count != keys || !reflect.DeepEqual(got, first) {
				return fmt.Sprintf("node %d has %d keys of %d, the same as the first: %v", i, count, keys, reflect.DeepEqual(got, first))
			}
		}
		return ""
	})
}

func field(t *testing.T, c *redis.Client, section, name string) string {
	t.Helper()
	for line := range strings.Lines(do(t, c, "INFO", section).(string)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), name+":"); ok {
			return v
		}
	}
	t.Fatalf("INFO %s has no %s", section, name)
	return ""
}

// Rows vanish on one node and are damaged on another, behind their backs. A repair brings them back, from either side
// of the difference, and nothing that was deleted.
func TestRepairBringsRowsBack(t *testing.T) {
	for _, at := range []int{0, 1} { // asked of a sound node, and of the damaged one
		t.Run(fmt.Sprint("asked of node ", at), func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				n1, n2, n3 := w.three()
				nodes := clients(n1, n2, n3)
				keys := fillAndDelete(t, nodes, 1500, 100)
				w.digests(nodes, 1500, 5*time.Second)
				for _, key := range keys[:1000] {
					n2.life.node.LoseRow([]byte(key))
				}
				for _, key := range keys[1200:1300] {
					if err := n3.life.node.CorruptRow([]byte(key)); err != nil {
						t.Fatal(err)
					}
				}
				want(t, nodes[at], 32, "CLUSTER", "REPAIR") // 16 partitions with 2 other owners each
				if at == 0 {
					want(t, nodes[2], 32, "CLUSTER", "REPAIR") // what is damaged in memory is found where it is
				}
				if at == 1 {
					want(t, nodes[2], 2, "CLUSTER", "REPAIR", 0)
					want(t, nodes[2], 32, "CLUSTER", "REPAIR")
				}
				w.digests(nodes, 1500, 30*time.Second)
				for i, key := range keys {
					want(t, nodes[i%3], key, "GET", key)
				}
				want(t, nodes[0], 1500, "DBSIZE")
				want(t, nodes[1], 0, "EXISTS", "gone0", "gone50", "gone99")
				if n := field(t, nodes[1], "repair", "repair_tree"); n != "1000" {
					t.Errorf("%s rows repaired", n)
				}
				if n := field(t, nodes[2], "stats", "unreadable_rows"); n == "0" {
					t.Error("no damaged row was counted")
				}
				w.eventually(30*time.Second, "the comparisons end", func() string {
					if due := field(t, nodes[at], "repair", "repair_due"); due != "0" {
						return due + " due"
					}
					return ""
				})
				rows := do(t, nodes[at], "CLUSTER", "DIVERGENCE").([]any)
				if len(rows) != 2 || rows[0].([]any)[1] != int64(16) || rows[0].([]any)[3].(int64) < 0 {
					t.Errorf("divergence %v", rows)
				}
				for _, m := range w.all {
					if st := m.status(); st.Compare.Doubtful+st.Compare.TwoValues != 0 || st.SiblingsKeys != 0 {
						t.Errorf("%s: %+v", m.name, st.Compare)
					}
				}
			})
		})
	}
}

func fillAndDelete(t *testing.T, nodes []*redis.Client, keep, gone int) (keys []string) {
	set, del := []any{"MSET"}, []any{"DEL"}
	for i := range keep {
		key := fmt.Sprint("key", i)
		keys, set = append(keys, key), append(set, key, key)
	}
	for i := range gone {
		key := fmt.Sprint("gone", i)
		set, del = append(set, key, key), append(del, key)
	}
	do(t, nodes[0], set...)
	want(t, nodes[1], gone, del...)
	return keys
}

// The schedule compares by itself; rows that were written after a repair keep their place.
func TestReplicasAreComparedBySchedule(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n1, n2, n3 := w.three(func(o *node.Options) { o.CompareEvery = time.Minute })
		nodes := clients(n1, n2, n3)
		keys := fillAndDelete(t, nodes, 300, 10)
		for _, key := range keys[:200] {
			n1.life.node.LoseRow([]byte(key))
		}
		w.digests(nodes, 300, 2*time.Minute)
		for i, key := range keys {
			do(t, nodes[i%3], "SET", key, "again")
		}
		w.digests(nodes, 300, 2*time.Minute)
		for i, key := range keys {
			want(t, nodes[(i+1)%3], "again", "GET", key)
		}
		for _, m := range w.all {
			if st := m.status(); st.SiblingsKeys != 0 || st.CompareAgeMs < 0 {
				t.Errorf("%s: %d keys with siblings, compared %d ms ago", m.name, st.SiblingsKeys, st.CompareAgeMs)
			}
		}
	})
}

// While nobody asks, the default schedule does nothing for an hour.
func TestAnIdleClusterComparesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		nodes := clients(w.three())
		fillAndDelete(t, nodes, 100, 1)
		time.Sleep(slowdown * 10 * time.Second)
		for _, m := range w.all {
			if st := m.status(); st.Compare.Rows != 0 || st.CompareDue != 0 {
				t.Errorf("%s: %+v", m.name, st.Compare)
			}
		}
	})
}
