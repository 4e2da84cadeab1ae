//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// ask opens a connection for questions that are not measured and closes it afterwards.
func (p *process) ask(question func(*redis.Client) error) error {
	r := redis.NewClient(&redis.Options{Addr: p.addr, Protocol: 2, DisableIdentity: true, MaxRetries: -1, PoolSize: 1})
	return errors.Join(question(r), r.Close())
}

// until asks again until the question is answered without an error, the process has ended, or the context is done.
func (p *process) until(ctx context.Context, question func(*redis.Client) error) error {
	return p.ask(func(r *redis.Client) error {
		for {
			err := question(r)
			if err == nil {
				return nil
			}
			select {
			case <-time.After(20 * time.Millisecond):
			case <-p.done:
				return p.check()
			case <-ctx.Done():
				return fmt.Errorf("%s is not ready: %w: %w", p.name, context.Cause(ctx), err)
			}
		}
	})
}

// untilSays waits until the answer to a command contains a text.
func (p *process) untilSays(ctx context.Context, text string, command ...any) error {
	return p.until(ctx, func(r *redis.Client) error {
		answer, err := r.Do(ctx, command...).Text()
		if err == nil && !strings.Contains(answer, text) {
			err = fmt.Errorf("%v does not say %s", command, text)
		}
		return err
	})
}

// silence is a logger that says nothing: a connection that is refused while a server starts is no news.
type silence struct{}

// Printf drops the message.
func (silence) Printf(context.Context, string, ...any) {}

// infoField is the value of a field in an answer to INFO, "" when it is not there.
func infoField(info, name string) string {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
