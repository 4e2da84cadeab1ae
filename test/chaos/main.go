package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const usage = `usage:
  chaos hostile  --shoal BIN [--redis BIN] [--port N] [--dir DIR] [--round 3s] [--only NAME] [--limit 5m]
  chaos failover --shoal BIN [--port N] [--dir DIR] [--hold 3s] [--cycles 1] [--limit 5m]`

// options are the flags of both commands.
type options struct {
	shoal string        // program to test
	redis string        // redis-server to compare with
	port  int           // first client port; the others follow, peers are 10000 higher
	dir   string        // folder for data and logs
	round time.Duration // length of one attack
	only  string        // the one attack to run
	hold  time.Duration // how long each state of the cluster is watched after its 3 s of grace
	turns int           // how often the whole sequence of faults is run
	limit time.Duration // for everything
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "chaos: FAILED:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	if len(args) == 0 {
		return errors.New(usage)
	}
	if args[0] == "probe" { // what the other commands start beside them
		return probe(args[1:], in, out)
	}
	var o options
	flags := flag.NewFlagSet("chaos "+args[0], flag.ContinueOnError)
	flags.StringVar(&o.shoal, "shoal", "", "shoal program to test")
	flags.StringVar(&o.redis, "redis", "redis-server", "redis-server whose answers are compared")
	flags.IntVar(&o.port, "port", 7601, "first client port; peers listen 10000 higher")
	flags.StringVar(&o.dir, "dir", "", "folder for data and logs; default: a temporary one, removed after success")
	flags.DurationVar(&o.round, "round", 3*time.Second, "length of one attack")
	flags.StringVar(&o.only, "only", "", "run this attack only")
	flags.DurationVar(&o.hold, "hold", 3*time.Second, "how long each state of the cluster is watched, after its 3 s of grace")
	flags.IntVar(&o.turns, "cycles", 1, "how often all faults are run through")
	flags.DurationVar(&o.limit, "limit", 5*time.Minute, "give up after this long")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	commands := map[string]func(context.Context, *house) error{"hostile": hostile, "failover": failover}
	command := commands[args[0]]
	if command == nil || flags.NArg() > 0 || o.shoal == "" {
		return errors.New(usage)
	}
	ctx, stop := context.WithTimeout(ctx, o.limit)
	defer stop()
	h, err := newHouse(o, out)
	if err != nil {
		return err
	}
	return h.close(command(ctx, h))
}
