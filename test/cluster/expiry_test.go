package cluster

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// everywhere checks an answer on every node.
func everywhere(t *testing.T, nodes []*redis.Client, answer any, args ...any) {
	t.Helper()
	for _, c := range nodes {
		want(t, c, answer, args...)
	}
}

func TestAKeyExpiresOnEveryNodeAtItsTime(t *testing.T) {
	for _, how := range [][]any{
		{"SET", "k", "v", "EX", "10"},
		{"SET", "k", "v", "PX", "10000"},
		{"SETEX", "k", "10", "v"},
		{"PSETEX", "k", "10000", "v"},
		{"VSET", "k", "", "v", "EX", "10"},
	} {
		inBubble(t, func(t *testing.T, w *world) {
			nodes := clients(w.three())
			do(t, nodes[0], how...)
			time.Sleep(8 * time.Second)
			everywhere(t, nodes, "v", "GET", "k")
			everywhere(t, nodes, 2, "TTL", "k")
			time.Sleep(2100 * time.Millisecond)
			everywhere(t, nodes, "<nil>", "GET", "k")
			everywhere(t, nodes, -2, "TTL", "k")
			everywhere(t, nodes, 0, "EXISTS", "k")
			everywhere(t, nodes, 0, "DBSIZE")
			do(t, nodes[1], "SET", "k", "again")
			everywhere(t, nodes, "again", "GET", "k")
			everywhere(t, nodes, -1, "TTL", "k")
		})
	}
}

func TestAnAbsoluteTimeOfExpiry(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		nodes := clients(w.three())
		at := time.Now().Add(2 * time.Minute)
		do(t, nodes[0], "SET", "a", "v", "EXAT", at.Unix())
		do(t, nodes[1], "SET", "b", "v", "PXAT", at.UnixMilli())
		do(t, nodes[2], "SET", "c", "v")
		want(t, nodes[0], 1, "EXPIREAT", "c", at.Unix())
		do(t, nodes[2], "SET", "d", "v")
		want(t, nodes[0], 1, "PEXPIREAT", "d", at.UnixMilli())
		for _, key := range []string{"a", "b", "c", "d"} {
			everywhere(t, nodes, at.Unix(), "EXPIRETIME", key)
		}
		time.Sleep(2*time.Minute - time.Second)
		everywhere(t, nodes, []any{"v", "v", "v", "v"}, "MGET", "a", "b", "c", "d")
		time.Sleep(2 * time.Second)
		everywhere(t, nodes, []any{nil, nil, nil, nil}, "MGET", "a", "b", "c", "d")
	})
}

func TestExpiryIsSetAndTakenBackOnAnyNode(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		nodes := clients(w.three())
		do(t, nodes[0], "SET", "k", "v")
		want(t, nodes[1], 1, "EXPIRE", "k", 10)
		everywhere(t, nodes, 10, "TTL", "k")
		want(t, nodes[2], 1, "PERSIST", "k")
		everywhere(t, nodes, -1, "TTL", "k")
		want(t, nodes[0], 0, "PERSIST", "k")
		want(t, nodes[1], 1, "PEXPIRE", "k", 5000)
		time.Sleep(time.Second)
		do(t, nodes[2], "SET", "k", "w", "KEEPTTL")
		everywhere(t, nodes, 4, "TTL", "k")
		do(t, nodes[0], "SET", "k", "x")
		everywhere(t, nodes, -1, "TTL", "k")
		time.Sleep(10 * time.Second)
		everywhere(t, nodes, "x", "GET", "k")
		want(t, nodes[1], 1, "EXPIRE", "k", -1)
		everywhere(t, nodes, "<nil>", "GET", "k")
		want(t, nodes[2], 0, "EXPIRE", "k", 10)
	})
}

func TestExpiryOutlivesARestart(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n1, n2, n3 := w.three()
		do(t, n1.client(), "SET", "k", "v", "EX", "60")
		time.Sleep(5 * time.Second)
		powerCut(0, n1, n2, n3)
		for _, m := range w.all {
			if err := m.start(); err != nil {
				t.Fatal(err)
			}
		}
		w.together(15*time.Second, n1, n2, n3)
		nodes := clients(n1, n2, n3)
		everywhere(t, nodes, "v", "GET", "k")
		time.Sleep(time.Minute)
		everywhere(t, nodes, "<nil>", "GET", "k")
	})
}
