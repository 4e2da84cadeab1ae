package main

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// settleDown deletes most of what there is. When nobody writes any more, nothing may be left of it: neither tombstones
// nor entries of the log.
func settleDown(ctx context.Context, h *house) error {
	f, s, err := h.filled(ctx, 3, h.some(50_000))
	if err != nil {
		return err
	}
	defer f.close() //nolint:errcheck // it returns none that matters here
	gone := len(s.tried) * 4 / 5
	deleted := 0
	pipelined(ctx, f.nodes[0].client, gone, func(p redis.Pipeliner, i int) { p.Del(ctx, s.key(i)) }, func(i int, answer redis.Cmder) {
		if answer.Err() == nil {
			s.acknowledged[i], deleted = 0, deleted+1
		}
	})
	if deleted != gone {
		return fmt.Errorf("%d of %d DELs were acknowledged", deleted, gone)
	}
	from := time.Now()
	if _, err := f.equal(ctx, backWithin); err != nil {
		return err
	}
	for _, name := range []string{"tombstones", "log_entries"} {
		if !f.has(ctx, name) {
			h.say("INFO has no %s: not looked at", name)
			continue
		}
		left := int64(0)
		_, err := f.until(ctx, 2*settledWithin, func() string {
			if left, _ = f.sum(ctx, name); left > 0 {
				return fmt.Sprintf("%s is %d", name, left)
			}
			return ""
		})
		if err != nil {
			h.fault("%v", err)
			continue
		}
		h.measured(name+" are 0 everywhere", time.Since(from).Seconds(), settledWithin.Seconds(), "s")
	}
	f.answers(ctx, s, "afterwards", 0, 1, 2)
	f.alarms(ctx)
	return ctx.Err()
}
