package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

const (
	setsAtOnce = 6   // that grow side by side
	setFull    = 300 // elements; then another begins
)

// growSets are sets that only grow, each kept in one key: a writer reads all siblings, joins them, adds an element and
// writes the whole with the context that it read.
type growSets struct {
	mu   sync.Mutex
	sets []*growSet
}

type growSet struct {
	elements map[string]outcome // every one that was tried
	shown    []string           // that a check has read although nobody acknowledged them
}

func (*growSets) name() string { return "sets" }

func setKey(i int) string { return fmt.Sprintf("set:%d", i) }

// pick chooses one of the sets that are not full and an element that is new.
func (g *growSets) pick(writer int, r *rand.Rand) (set int, element string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var open []int
	for i, s := range g.sets {
		if len(s.elements) < setFull {
			open = append(open, i)
		}
	}
	for len(open) < setsAtOnce {
		open = append(open, len(g.sets))
		g.sets = append(g.sets, &growSet{elements: map[string]outcome{}})
	}
	set = open[r.IntN(len(open))]
	element = fmt.Sprintf("w%d-%d", writer, len(g.sets[set].elements))
	g.sets[set].elements[element] = unknown
	return set, element
}

func (g *growSets) act(ctx context.Context, c *redis.Client, writer int, r *rand.Rand) outcome {
	set, element := g.pick(writer, r)
	o := refused // until it is written
	if context, siblings, err := vget(ctx, c, setKey(set)); err == nil {
		all := append(elements(siblings), element)
		o = outcomeOf(c.Do(ctx, "VSET", setKey(set), context, strings.Join(all, ",")).Err())
	}
	g.mu.Lock()
	g.sets[set].elements[element] = o
	g.mu.Unlock()
	return o
}

// vget reads a key's context and the values of its siblings.
func vget(ctx context.Context, c *redis.Client, key string) (context string, values []string, err error) {
	answer, err := c.Do(ctx, "VGET", key).Result()
	if err != nil {
		return "", nil, err
	}
	return readVGET(answer)
}

func readVGET(answer any) (context string, values []string, err error) {
	parts, ok := answer.([]any)
	if !ok || len(parts) != 2 {
		return "", nil, fmt.Errorf("VGET answers %v", answer)
	}
	context, ok1 := parts[0].(string)
	versions, ok2 := parts[1].([]any)
	if !ok1 || !ok2 {
		return "", nil, fmt.Errorf("VGET answers %v", answer)
	}
	for _, v := range versions {
		fields, ok := v.([]any)
		if !ok || len(fields) != 3 {
			return "", nil, fmt.Errorf("VGET answers the version %v", v)
		}
		value, ok := fields[0].(string)
		if !ok {
			return "", nil, fmt.Errorf("VGET answers the version %v", v)
		}
		values = append(values, value)
	}
	return context, values, nil
}

// elements joins siblings: the elements that any of them has, in order.
func elements(siblings []string) []string {
	var all []string
	for _, s := range siblings {
		all = append(all, strings.Split(s, ",")...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// wrongSet lists what is wrong with a set that reads so.
func wrongSet(tried map[string]outcome, got []string) (wrong []string) {
	has := map[string]bool{}
	for _, e := range got {
		has[e] = true
		switch o, ok := tried[e]; {
		case !ok:
			wrong = append(wrong, "has "+e+", which nobody added")
		case o == refused:
			wrong = append(wrong, "has "+e+" although its VSET was refused, which promises that nothing was written")
		}
	}
	for e, o := range tried {
		if o == acknowledged && !has[e] {
			wrong = append(wrong, "has lost "+e+", which was acknowledged")
		}
	}
	slices.Sort(wrong)
	return wrong
}

func (g *growSets) check(ctx context.Context, n *node) []string {
	var bad findings
	for i, s := range g.sets {
		_, siblings, err := vget(ctx, n.client, setKey(i))
		if err != nil {
			bad.add("%s: %v", setKey(i), err)
			continue
		}
		got := elements(siblings)
		for _, e := range got {
			if s.elements[e] == unknown {
				s.shown = append(s.shown, e)
			}
		}
		for _, what := range wrongSet(s.elements, got) {
			bad.add("%s %s", setKey(i), what)
		}
	}
	return bad.list()
}

// settle takes an element that was read for acknowledged: what was shown once may not go.
func (g *growSets) settle() {
	for _, s := range g.sets {
		for _, e := range s.shown {
			if _, tried := s.elements[e]; tried {
				s.elements[e] = acknowledged
			}
		}
		s.shown = nil
	}
}
