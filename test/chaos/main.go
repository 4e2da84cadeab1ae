package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

const usage = `usage:
  chaos hostile  --shoal BIN [--redis BIN] [--port N] [--dir DIR] [--round 3s] [--only NAME] [--limit 5m]
  chaos failover --shoal BIN [--port N] [--dir DIR] [--hold 3s] [--cycles 1] [--limit 5m]
  chaos repair   --shoal BIN [--port N] [--dir DIR] [--nodes 3|5] [--for 60s] [--stretch 20s] [--seed N]
                 [--faults kill,stop,cut,slow,wipe,backup] [--strict] [--limit 5m]
  chaos accept NAME --shoal BIN [--port N] [--dir DIR] [--keys N] [--away 60s] [--limit 20m]
                 NAME: %s`

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

	count     int           // nodes of repair
	span      time.Duration // that faults go on
	stretch   time.Duration // of faults, between two looks at what is left
	seed      uint64
	faultList string        // kinds, by comma
	strict    bool          // nodes run with --strict
	keys      int           // of an acceptance scenario; 0: as many as it is meant for
	away      time.Duration // that a node of it is down, or a cut lasts
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
		return fmt.Errorf(usage, strings.Join(slices.Sorted(maps.Keys(scenarios)), ", "))
	}
	if args[0] == "probe" { // what the other commands start beside them
		return probe(args[1:], in, out)
	}
	var o options
	limit := 5 * time.Minute
	if args[0] == "accept" {
		limit = 20 * time.Minute
	}
	flags := flag.NewFlagSet("chaos "+args[0], flag.ContinueOnError)
	flags.StringVar(&o.shoal, "shoal", "", "shoal program to test")
	flags.StringVar(&o.redis, "redis", "redis-server", "redis-server whose answers are compared")
	flags.IntVar(&o.port, "port", 7601, "first client port; peers listen 10000 higher")
	flags.StringVar(&o.dir, "dir", "", "folder for data and logs; default: a temporary one, removed after success")
	flags.DurationVar(&o.round, "round", 3*time.Second, "length of one attack")
	flags.StringVar(&o.only, "only", "", "run this attack only")
	flags.DurationVar(&o.hold, "hold", 3*time.Second, "how long each state of the cluster is watched, after its 3 s of grace")
	flags.IntVar(&o.turns, "cycles", 1, "how often all faults are run through")
	flags.DurationVar(&o.limit, "limit", limit, "give up after this long")
	flags.IntVar(&o.count, "nodes", 3, "nodes of repair, 3 or 5")
	flags.DurationVar(&o.span, "for", time.Minute, "how long repair makes faults")
	flags.DurationVar(&o.stretch, "stretch", 20*time.Second, "length of its stretches; after each everything is checked")
	flags.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "of its choices")
	flags.StringVar(&o.faultList, "faults", strings.Join(faultKinds, ","), "kinds of faults that it makes")
	flags.BoolVar(&o.strict, "strict", false, "no sloppy quorums, so that the registers of five nodes are judged strictly")
	flags.IntVar(&o.keys, "keys", 0, "keys of an acceptance scenario; default: what it is meant for")
	flags.DurationVar(&o.away, "away", time.Minute, "how long a node of it is down, or a cut lasts")
	commands := map[string]func(context.Context, *house) error{"hostile": hostile, "failover": failover, "repair": repair}
	command, rest := commands[args[0]], args[1:]
	if args[0] == "accept" && len(rest) > 0 {
		command, rest = scenarios[rest[0]], rest[1:]
	}
	if err := flags.Parse(rest); err != nil {
		return err
	}
	if command == nil || flags.NArg() > 0 || o.shoal == "" {
		return fmt.Errorf(usage, strings.Join(slices.Sorted(maps.Keys(scenarios)), ", "))
	}
	ctx, stop := context.WithTimeout(ctx, o.limit)
	defer stop()
	h, err := newHouse(o, out)
	if err != nil {
		return err
	}
	return h.close(command(ctx, h))
}
