package cluster

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"shoal/node"
	"shoal/ring"
)

func TestWhatOneNodeIsGivenEveryNodeAnswers(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		nodes := clients(w.three())
		for i := range 60 {
			do(t, nodes[i%3], "SET", fmt.Sprint("k", i), fmt.Sprint("v", i))
		}
		for _, c := range nodes {
			for i := range 60 {
				want(t, c, fmt.Sprint("v", i), "GET", fmt.Sprint("k", i))
			}
			want(t, c, 60, "DBSIZE")
		}
	})
}

func TestTheLaterOfTwoPlainWritesWinsWhereverTheyWent(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		nodes := clients(w.three())
		for i := range 90 {
			do(t, nodes[i%3], "SET", fmt.Sprint("k", i%7), fmt.Sprint("v", i))
			want(t, nodes[(i+1)%3], fmt.Sprint("v", i), "GET", fmt.Sprint("k", i%7))
		}
		for _, m := range w.all {
			if st := m.status(); st.SiblingsKeys != 0 || st.Coord.Conflicts != 0 {
				t.Errorf("%s: %d keys with siblings, %d conflicts, without any fault", m.name, st.SiblingsKeys, st.Coord.Conflicts)
			}
		}
	})
}

func TestADeletedKeyIsGoneOnEveryNode(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		nodes := clients(w.three())
		for i := range 10 {
			key := fmt.Sprint("k", i)
			do(t, nodes[i%3], "SET", key, "v")
			want(t, nodes[(i+1)%3], 1, "DEL", key)
			want(t, nodes[(i+2)%3], 0, "DEL", key)
			for _, c := range nodes {
				want(t, c, "<nil>", "GET", key)
				want(t, c, 0, "EXISTS", key)
				want(t, c, "none", "TYPE", key)
			}
		}
		want(t, nodes[0], 0, "DBSIZE")
	})
}

func TestCommandsOnSeveralKeysReachAllTheirPartitions(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		nodes := clients(w.three())
		set, get, del, answers := []any{"MSET"}, []any{"MGET"}, []any{"DEL"}, []any{}
		for i := range 50 {
			set = append(set, fmt.Sprint("k", i), i)
			get, del, answers = append(get, fmt.Sprint("k", i)), append(del, fmt.Sprint("k", i)), append(answers, strconv.Itoa(i))
		}
		want(t, nodes[0], "OK", set...)
		want(t, nodes[1], answers, get...)
		want(t, nodes[2], []any{"0", nil, "0"}, "MGET", "k0", "none", "k0")
		want(t, nodes[1], 51, append([]any{"EXISTS", "k0"}, del[1:]...)...)
		want(t, nodes[2], 50, append(del, "none")...)
		want(t, nodes[0], 0, "DBSIZE")
	})
}

func TestFlushEmptiesEveryNode(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		nodes := clients(w.three())
		for _, flush := range []string{"FLUSHALL", "FLUSHDB"} {
			for i := range 40 {
				do(t, nodes[i%3], "SET", fmt.Sprint("k", i), "v")
			}
			want(t, nodes[1], "OK", flush)
			for _, c := range nodes {
				want(t, c, 0, "DBSIZE")
				want(t, c, "<nil>", "GET", "k7")
			}
			do(t, nodes[2], "SET", "k7", "after")
			want(t, nodes[0], "after", "GET", "k7")
			want(t, nodes[0], 1, "DBSIZE")
		}
	})
}

func TestAPipelineKeepsTheOrderOfEachKey(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for at, c := range clients(w.three()) {
			p := c.Pipeline()
			var answers []string
			for i := range 100 {
				key, value := fmt.Sprint("p", at, i%5), fmt.Sprint(i)
				p.Set(background, key, value, 0)
				p.Get(background, key)
				answers = append(answers, "OK", value)
				if i%10 == 9 {
					p.Del(background, key)
					p.Exists(background, key)
					answers = append(answers, "1", "0")
				}
			}
			cmds, err := p.Exec(background)
			if err != nil {
				t.Fatal(err)
			}
			for i, cmd := range cmds {
				if got := answerOf(cmd); got != answers[i] {
					t.Fatalf("command %d, %v, want %s", i, cmd, answers[i])
				}
			}
		}
	})
}

func answerOf(c redis.Cmder) string {
	switch c := c.(type) {
	case *redis.StatusCmd:
		return c.Val()
	case *redis.StringCmd:
		return c.Val()
	case *redis.IntCmd:
		return fmt.Sprint(c.Val())
	}
	return c.String()
}

func TestLargeValuesTravel(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		nodes := clients(w.three())
		value := strings.Repeat("0123456789abcdef", 5<<16/slowdown) // 5 MiB: many fragments
		for i, c := range nodes {
			key := fmt.Sprint("large", i)
			do(t, c, "SET", key, value)
			for _, other := range nodes {
				if got := do(t, other, "GET", key); got != value {
					t.Fatalf("a value of %d bytes came back with %d", len(value), len(got.(string)))
				}
				want(t, other, len(value), "STRLEN", key)
			}
		}
	})
}

// Every key is written by one client, which reads its own last write back, while others do the same everywhere.
func TestManyClientsAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		nodes := clients(w.three())
		var wg sync.WaitGroup
		for worker := range 12 {
			wg.Go(func() {
				for i := range 40 {
					key, value := fmt.Sprint("w", worker, "-", i%8), fmt.Sprint(i)
					if err := nodes[(worker+i)%3].Set(background, key, value, 0).Err(); err != nil {
						t.Error(err)
					}
					if got, err := nodes[(worker+i+1)%3].Get(background, key).Result(); got != value || err != nil {
						t.Errorf("%s reads %q, %v, want %s", key, got, err, value)
					}
				}
			})
		}
		wg.Wait()
		want(t, nodes[0], 12*8, "DBSIZE")
	})
}

func TestAClusterClientFindsEveryKeysOwner(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		_, n2, _ := w.three(func(o *node.Options) { o.N, o.R, o.W = 1, 1, 1 }) // each key on one node only
		c := w.clusterClient(n2)
		for i := range 100 {
			if err := c.Set(background, fmt.Sprint("k", i), i, 0).Err(); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 100 {
			if got := c.Get(background, fmt.Sprint("k", i)).Val(); got != fmt.Sprint(i) {
				t.Fatalf("k%d is %q", i, got)
			}
		}
		p := c.Pipeline()
		for i := range 100 {
			p.Incr(background, fmt.Sprint("no such command", i))
			p.Get(background, fmt.Sprint("k", i))
		}
		cmds, _ := p.Exec(background)
		for i := 1; i < len(cmds); i += 2 {
			if got := answerOf(cmds[i]); got != fmt.Sprint(i/2) {
				t.Fatalf("in a pipeline k%d is %q", i/2, got)
			}
		}
		for _, m := range w.all {
			if st := m.status(); st.Coord.Forwarded != 0 || st.OwnKeys == 0 {
				t.Errorf("%s forwarded %d operations of a client that knows the owners, and holds %d keys", m.name, st.Coord.Forwarded, st.OwnKeys)
			}
		}
	})
}

func TestEveryNodeTellsTheSameSlots(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		nodes := clients(w.three())
		first := fmt.Sprint(do(t, nodes[0], "CLUSTER", "SLOTS"))
		ids := map[any]bool{}
		for _, c := range nodes {
			if got := fmt.Sprint(do(t, c, "CLUSTER", "SLOTS")); got != first {
				t.Errorf("slots differ:\n%s\n%s", first, got)
			}
			id := do(t, c, "CLUSTER", "MYID")
			ids[id] = true
			text := do(t, c, "CLUSTER", "NODES").(string)
			if strings.Count(text, "\n") != 3 || !strings.Contains(text, id.(string)+" 10.0.0.") || !strings.Contains(text, "myself,master") {
				t.Errorf("CLUSTER NODES:\n%s", text)
			}
			next := int64(0)
			for _, r := range do(t, c, "CLUSTER", "SLOTS").([]any) {
				r := r.([]any) // first, last, owners
				if r[0] != next || len(r) != 2+3 {
					t.Fatalf("the range from %d begins at %d and has %d owners", next, r[0], len(r)-2)
				}
				next = r[1].(int64) + 1
			}
			if next != ring.Slots {
				t.Errorf("slots end at %d", next)
			}
			shards, err := c.ClusterShards(background).Result()
			if err != nil || len(shards) != 3 {
				t.Errorf("%d shards, %v", len(shards), err)
			}
		}
		if len(ids) != 3 {
			t.Errorf("ids: %v", ids)
		}
	})
}

func TestKeysOfASlotAreCounted(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		nodes := clients(w.three())
		for i := range 5 {
			do(t, nodes[0], "SET", fmt.Sprint("{tag}", i), "v")
		}
		slot := do(t, nodes[1], "CLUSTER", "KEYSLOT", "{tag}")
		for _, c := range nodes {
			want(t, c, 5, "CLUSTER", "COUNTKEYSINSLOT", slot)
		}
	})
}

func TestReadOnlyConnectionsReadAndWrite(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n1, n2, _ := w.three()
		do(t, n1.client(), "SET", "k", "v")
		time.Sleep(time.Second)
		c := n2.client(func(o *redis.Options) { o.PoolSize = 1 })
		want(t, c, "OK", "READONLY")
		want(t, c, "v", "GET", "k")
		want(t, c, "OK", "SET", "k", "w")
		want(t, c, "OK", "READWRITE")
		want(t, c, "w", "GET", "k")
	})
}

func TestBothProtocolsWork(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n1, _, _ := w.three()
		for _, version := range []int{2, 3} {
			c := n1.client(func(o *redis.Options) { o.Protocol = version })
			do(t, c, "SET", "k", version)
			want(t, c, version, "GET", "k")
			if slices.Contains([]string{"", "0"}, infoField(t, c, "server", "redis_version")) {
				t.Error("no version")
			}
		}
	})
}
