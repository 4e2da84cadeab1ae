package main

import (
	"context"
	"strconv"
	"strings"
	"time"
)

// info is the numbers of an INFO section, nil when there is no answer.
func (n *node) info(ctx context.Context, section string) map[string]int64 {
	ctx, stop := context.WithTimeout(ctx, 2*time.Second)
	defer stop()
	text, err := n.client.Info(ctx, section).Result()
	if err != nil {
		return nil
	}
	return numbers(text)
}

// numbers reads the lines name:number of INFO.
func numbers(text string) map[string]int64 {
	out := map[string]int64{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if x, err := strconv.ParseInt(value, 10, 64); err == nil {
			out[name] = x
		}
	}
	return out
}

// sum adds up a number of all nodes. known is false when one of them does not answer or has no such number.
func (f *fleet) sum(ctx context.Context, name string) (total int64, known bool) {
	for _, i := range f.up() {
		x, ok := f.nodes[i].info(ctx, "everything")[name]
		if !ok {
			return 0, false
		}
		total += x
	}
	return total, true
}
