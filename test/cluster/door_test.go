package cluster

import (
	"bufio"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"shoal/node"
)

func (m *machine) outsider(changes ...func(*redis.Options)) *redis.Client {
	return m.client(append(changes, func(o *redis.Options) { o.Dialer = m.w.dialer(outside) })...)
}

func TestWithoutAPasswordOnlyThisMachineIsServed(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n1 := w.machine("n1").up()
		want(t, n1.client(), "PONG", "PING")
		conn, err := w.net.Host(outside).Dial(t.Context(), clientAddr("n1"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		line, err := bufio.NewReader(conn).ReadString('\n')
		if !strings.HasPrefix(line, "-DENIED Redis is running in protected mode") {
			t.Errorf("an outsider is told %q, %v", line, err)
		}
	})
}

func TestWithAPasswordWhoKnowsItIsServed(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n1 := w.machine("n1", func(o *node.Options) { o.Password = "secret" }).up()
		wantError(t, n1.client(), "NOAUTH ", "GET", "k")
		wrong := n1.outsider(func(o *redis.Options) { o.Password = "guess" })
		wantError(t, wrong, "WRONGPASS ", "GET", "k")
		right := n1.outsider(func(o *redis.Options) { o.Password = "secret" })
		want(t, right, "OK", "SET", "k", "v")
		named := n1.outsider(func(o *redis.Options) { o.Username, o.Password, o.Protocol = "default", "secret", 2 })
		want(t, named, "v", "GET", "k")
	})
}

// Without a secret nothing tells a member from anybody else: a node that comes from elsewhere is no peer.
func TestWithoutASecretOnlyThisMachinesNodesAreSpokenTo(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		open := func(o *node.Options) { o.Secret = nil }
		n1 := w.machine("n1", open).up()
		n2 := w.machine("n2", open, joining("n1")).up()
		w.together(5*time.Second, n1, n2)
		far := w.machine("n3", open, joining("n1"))
		far.ip = "192.168.0.3"
		far.opts.Listen, far.opts.Peer = "192.168.0.3:6379", "192.168.0.3:16379"
		far.neverJoins()
	})
}

func TestAStoppingNodeAnswersWhatItHasBegun(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n1, n2, n3 := w.three()
		c := n3.client()
		var wg sync.WaitGroup
		acked := make([]string, 20)
		for worker := range acked {
			wg.Go(func() {
				for i := 0; ; i++ {
					value := fmt.Sprint(i)
					if err := c.Set(background, fmt.Sprint("k", worker), value, 0).Err(); err != nil {
						if strings.HasPrefix(err.Error(), "UNCERTAIN") {
							t.Errorf("a write was left open: %v", err)
						}
						return
					}
					acked[worker] = value
					time.Sleep(slowdown * 2 * time.Millisecond)
				}
			})
		}
		time.Sleep(2 * time.Second)
		began := time.Now()
		n3.stop()
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("stopping took %v", took)
		}
		wg.Wait()
		for worker, value := range acked {
			for _, other := range clients(n1, n2) {
				if got := do(t, other, "GET", fmt.Sprint("k", worker)); got != value {
					if n := toInt(got); n != toInt(value)+1 { // the last one's answer may have been cut off
						t.Errorf("k%d is %v, acknowledged was %s", worker, got, value)
					}
				}
			}
		}
	})
}

func toInt(v any) (n int) {
	_, _ = fmt.Sscan(fmt.Sprint(v), &n)
	return n
}

func TestAClientThatStaysDoesNotHoldUpAStop(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n1 := w.machine("n1").up()
		c := n1.client()
		do(t, c, "SET", "k", "v") // its connection stays open
		ctx, cancel := context.WithTimeout(background, 8*time.Second)
		defer cancel()
		began := time.Now()
		if err := n1.life.node.Close(ctx); err != nil || time.Since(began) > 3*time.Second {
			t.Errorf("stopping took %v and answered %v", time.Since(began), err)
		}
		n1.life = nil
		n1.up()
		want(t, n1.client(), "v", "GET", "k")
	})
}

func TestANodeMayBeStoppedTwice(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		n1 := w.machine("n1").up()
		_ = n1.life.node.Close(background)
		if err := n1.life.node.Close(background); err != nil {
			t.Errorf("the second time: %v", err)
		}
		n1.life = nil
	})
}
