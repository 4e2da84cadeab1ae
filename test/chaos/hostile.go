package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/redis/go-redis/v9"
)

// What the PING of others may take while a node is attacked, over what the machine's noise adds.
const (
	p99Limit   = 50 * time.Millisecond
	worstLimit = 250 * time.Millisecond
	attempts   = 4 // rounds of one attack at most: see judge
)

// Bounds of what an attack may cost a node.
const (
	memoryLimit     = 256 << 20 // bytes of resident memory more than before
	descriptorSlack = 20        // more than before, a while after the attack
)

// arena is what attacks are made on.
type arena struct {
	*house
	nodes  []*node // the cluster
	target *node   // the one of them that is attacked, and whose PING is measured
	quiet  *node   // a cluster of its own that nobody attacks: it measures the machine
	locked *node   // another one, with a password
	redis  string  // address of a redis-server, and of one with a password
	lock   string
	probe  *watcher
}

// attack is one kind of hostility. run works until the context ends (or longer, if it has to) and returns what the
// node answered wrongly.
type attack struct {
	name string
	run  func(ctx context.Context, a *arena) error
}

var attacks = []attack{
	{"none, for comparison", calm},
	{"hostile words", sayWords},
	{"endless inline", endlessInline},
	{"one byte at a time", trickle},
	{"half a request", halfOpen},
	{"a million arguments", manyArguments},
	{"MGET of 50,000 keys", manyKeys},
	{"replies never read", neverRead},
	{"thousands of connects", connects},
	{"more than maxclients", tooMany},
	{"garbage at the peer port", peerGarbage},
	{"2000 pipelined GETs of 1 MiB, never read", flood},
}

// hostile runs every attack on one node of three.
func hostile(ctx context.Context, h *house) error {
	a, err := newArena(ctx, h)
	if err != nil {
		return err
	}
	defer a.probe.close()
	if err := a.compareWithRedis(); err != nil {
		return err
	}
	if err := a.fill(ctx); err != nil {
		return err
	}
	ran := false
	for _, attack := range attacks {
		if h.only != "" && h.only != attack.name {
			continue
		}
		ran = true
		if err := a.fight(ctx, attack); err != nil {
			return err
		}
	}
	if !ran {
		return fmt.Errorf("no attack is called %q", h.only)
	}
	return a.verify(ctx)
}

func newArena(ctx context.Context, h *house) (*arena, error) {
	a := &arena{house: h}
	password := filepath.Join(h.dir, "password")
	if err := os.WriteFile(password, []byte("secret\n"), 0o600); err != nil {
		return nil, err
	}
	a.nodes = []*node{h.node(0, "a"), h.node(1, "b"), h.node(2, "c")}
	a.target = a.nodes[1]
	a.quiet, a.locked = h.node(3, "quiet"), h.node(4, "locked", "--requirepass-file", password)
	a.locked.client = redis.NewClient(&redis.Options{Addr: a.locked.addr, Password: "secret", MaxRetries: -1})
	for _, nodes := range [][]*node{a.nodes, {a.quiet}, {a.locked}} {
		if err := cluster(ctx, nodes...); err != nil {
			return nil, err
		}
	}
	var err error
	if a.redis, err = h.redisServer(ctx, 5, ""); err != nil {
		return nil, err
	}
	if a.lock, err = h.redisServer(ctx, 6, "secret"); err != nil {
		return nil, err
	}
	a.probe, err = watch(a.target.addr, a.quiet.addr)
	return a, err
}

// redisServer starts the Redis whose answers are the measure.
func (h *house) redisServer(ctx context.Context, i int, password string) (string, error) {
	program, err := exec.LookPath(h.redis)
	if err != nil {
		return "", fmt.Errorf("%w: install redis-server, or name it with --redis", err)
	}
	port := fmt.Sprint(h.port + i)
	p := h.process("redis"+port, program, "--port", port, "--bind", "127.0.0.1", "--save", "", "--proto-max-bulk-len", "64mb",
		"--requirepass", password, "--dir", h.dir)
	if err := p.start(); err != nil {
		return "", err
	}
	addr := "127.0.0.1:" + port
	client := redis.NewClient(&redis.Options{Addr: addr, Password: password, MaxRetries: -1})
	defer client.Close()
	for end := time.Now().Add(10 * time.Second); client.Ping(ctx).Err() != nil; time.Sleep(20 * time.Millisecond) {
		if !p.running() || time.Now().After(end) {
			return "", fmt.Errorf("redis-server does not start, see %s", p.log)
		}
	}
	return addr, nil
}

// compareWithRedis asks Redis what it answers to every word, so that the table cannot be wrong.
func (a *arena) compareWithRedis() error {
	same := 0
	var errs []error
	for _, w := range words {
		if w.ours {
			continue
		}
		addr := a.redis
		if w.locked {
			addr = a.lock
		}
		if err := checkWord(addr, w, false); err != nil {
			errs = append(errs, err)
			continue
		}
		same++
	}
	a.say("redis-server answers %d of %d hostile words as this program expects it of shoal; %d differ on purpose",
		same, len(words), len(words)-same-len(errs))
	if len(errs) > 0 {
		return fmt.Errorf("redis-server answers otherwise than expected: %w", errors.Join(errs...))
	}
	return nil
}

// bulky is how many large keys there are, and bulk their size in bytes.
const (
	bulky = 100
	bulk  = 1 << 20
	small = 1000
)

// fill writes what attacks read and what must still be there afterwards.
func (a *arena) fill(ctx context.Context) error {
	value := make([]byte, bulk)
	for i := range bulky {
		copy(value, fmt.Sprintf("%08d", i))
		if err := a.nodes[i%len(a.nodes)].client.Set(ctx, fmt.Sprintf("bulky:%d", i), value, 0).Err(); err != nil {
			return fmt.Errorf("filling: %w", err)
		}
	}
	for i := range small {
		if err := a.nodes[i%len(a.nodes)].client.Set(ctx, fmt.Sprintf("small:%d", i), fmt.Sprint(i), 0).Err(); err != nil {
			return fmt.Errorf("filling: %w", err)
		}
	}
	for i := range bulky { // so that the first attack does not pay for caches
		if err := a.target.client.Get(ctx, fmt.Sprintf("bulky:%d", i)).Err(); err != nil {
			return fmt.Errorf("filling: %w", err)
		}
	}
	return nil
}

// verify reads on every node what fill wrote.
func (a *arena) verify(ctx context.Context) error {
	faults := len(a.faults)
	for _, n := range a.nodes {
		for i := range small {
			if got, err := n.client.Get(ctx, fmt.Sprintf("small:%d", i)).Result(); err != nil || got != fmt.Sprint(i) {
				a.fault("node %s: key small:%d reads %q, %v", n.name, i, got, err)
				break
			}
		}
		if got := n.field(ctx, "siblings", "siblings_keys"); got != 0 {
			a.fault("node %s: siblings_keys is %d after attacks without a failure, want 0", n.name, got)
		}
	}
	if len(a.faults) == faults {
		a.say("every key reads back on each node")
	}
	return ctx.Err()
}

// fight runs an attack, again while the machine's noise disturbs it, and checks what it left.
func (a *arena) fight(ctx context.Context, attack attack) error {
	for attempt := 1; ; attempt++ {
		files := a.target.descriptors()
		verdict, err := a.fightOnce(ctx, attack, attempt == attempts)
		if err != nil {
			return err
		}
		a.aftermath(ctx, attack, files)
		switch {
		case verdict == stalled || verdict == failed && attempt == attempts:
			a.fault("%s: PING of others is too slow", attack.name)
		case verdict != passed && verdict != relative:
			continue
		}
		return nil
	}
}

// fightOnce is one round.
func (a *arena) fightOnce(ctx context.Context, attack attack, last bool) (verdict, error) {
	before, stop := a.target.rss(), a.target.peakRSS()
	if _, err := a.probe.take(); err != nil {
		return failed, err
	}
	machine := a.machine(a.probe.cmd.Process.Pid)
	round, end := context.WithTimeout(ctx, a.round)
	err := attack.run(round, a)
	end()
	seen, probeErr := a.probe.take()
	others := strangers(machine, a.machine(a.probe.cmd.Process.Pid))
	peak := stop()
	if probeErr != nil {
		return failed, probeErr
	}
	if err != nil {
		a.fault("%s: %v", attack.name, err)
	}
	grown := max(0, peak-before)
	v := judge(seen[0], seen[1], others, last)
	a.say("%-39s PING %s (%d, %d failed); of a quiet node %s, others use %.0f %% of the machine; memory %d MiB, +%d; %s",
		attack.name, seen[0], seen[0].Count, seen[0].Errors, seen[1], 100*others, peak>>20, grown>>20, v)
	if seen[0].Errors > 0 {
		a.fault("%s: PING of others failed: %s", attack.name, seen[0].Text)
	}
	if grown >= memoryLimit {
		a.fault("%s: the node grew by %d MiB, want less than %d", attack.name, grown>>20, memoryLimit>>20)
	}
	return v, nil
}

// verdict is what a round says about latency.
type verdict string

const (
	passed    verdict = "passed"
	relative  verdict = "passed, beside the machine's noise"
	disturbed verdict = "disturbed by the machine"
	failed    verdict = "too slow"
	stalled   verdict = "stalled"
)

// judge compares the PING of the attacked node with the limits. What is too slow says nothing of the node when the
// machine was disturbed: a quiet node saw it too, or programs that are not ours took a part of the processors. It is
// tried again in any case, because some noise shows in neither figure, and a node that is too slow by itself will be so
// in every round; but a stall on an undisturbed machine is not.
//
// The last round has to say something: there the limits are on top of twice what the quiet node saw, and for the share
// of the machine that was left.
func judge(attacked, quiet latency, others float64, last bool) verdict {
	noisy := quiet.P99 > p99Limit/5 || quiet.Worst > worstLimit/5 || others > 0.2
	share := time.Duration(100 * max(0.1, 1-others))
	switch {
	case attacked.Count == 0:
		return failed
	case attacked.P99 < p99Limit && attacked.Worst < worstLimit:
		return passed
	case noisy && !last:
		return disturbed
	case noisy && attacked.P99 < (p99Limit+2*quiet.P99)*100/share && attacked.Worst < (worstLimit+2*quiet.Worst)*100/share:
		return relative
	case !noisy && attacked.Worst >= 4*worstLimit:
		return stalled
	}
	return failed
}

// aftermath checks that the cluster is whole and that the attacked node has let go of what the attack held.
func (a *arena) aftermath(ctx context.Context, attack attack, files int) {
	for _, n := range append([]*node{a.quiet, a.locked}, a.nodes...) {
		if !n.running() {
			a.fault("%s: node %s died: %v", attack.name, n.name, n.exit())
		}
	}
	if took, err := live(ctx, len(a.nodes), 5*time.Second, a.nodes...); err != nil {
		a.fault("%s: %v", attack.name, err)
	} else if took > time.Second {
		a.say("%s: it took %v until all nodes saw each other", attack.name, took)
	}
	if err := works(ctx, a.nodes...); err != nil {
		a.fault("%s: afterwards: %v", attack.name, err)
	}
	end := time.Now().Add(15 * time.Second)
	for a.target.descriptors() > files+descriptorSlack {
		if time.Now().After(end) {
			a.fault("%s: %d descriptors before, %d after", attack.name, files, a.target.descriptors())
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}
