package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const usage = `usage:
  apt-cache dumpavail | load keys --out FILE [--min N]
  load write  --data FILE --book FILE --round N --addrs A,B,C [--rate N] [--for DURATION] [--least SHARE]
  load verify --data FILE --books FILE,FILE --addrs A,B,C [--for DURATION]`

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(args []string, in io.Reader, out io.Writer) error {
	if len(args) == 0 {
		return errors.New(usage)
	}
	var (
		flags = flag.NewFlagSet("load "+args[0], flag.ContinueOnError)
		file  = flags.String("out", "", "data set to write")
		least = flags.Int("min", 100_000, "fewest keys that make a data set")
		data  = flags.String("data", "", "data set, as made by load keys")
		book  = flags.String("book", "", "where to write the outcome of every SET")
		books = flags.String("books", "", "books of the rounds, oldest first")
		round = flags.Int("round", 2, "number of the round, part of every value; the data set itself is round 1")
		addrs = flags.String("addrs", "", "host:port of each node")
		rate  = flags.Int("rate", 10_000, "most SETs per second, over all nodes")
		limit = flags.Duration("for", 2*time.Minute, "give up after this long")
		share = flags.Float64("least", 0.9, "fail when a smaller share of the SETs is acknowledged")
	)
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	redis.SetLogger(silence{}) // every error is counted and reported by its caller
	ctx, stop := context.WithTimeout(context.Background(), *limit)
	defer stop()
	switch args[0] {
	case "keys":
		return keys(in, out, *file, *least)
	case "write":
		return write(ctx, out, writeJob{
			data: *data, book: *book, round: *round, addrs: list(*addrs), rate: *rate, least: *share,
		})
	case "verify":
		return verify(ctx, out, *data, list(*books), list(*addrs))
	}
	return errors.New(usage)
}

// list is the parts of a comma-separated flag.
func list(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' })
}

// silence is a logger that says nothing.
type silence struct{}

// Printf drops the message.
func (silence) Printf(context.Context, string, ...any) {}
