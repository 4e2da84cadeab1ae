//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// The main thread starts all servers, and they end with it (start); it also is the load generator's.
func init() { runtime.LockOSThread() }

func main() {
	redis.SetLogger(silence{})
	// SIGPIPE is among them: `bench | head` must not leave servers' folders behind.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}

// options are what flags say.
type options struct {
	suites []suite
	out    string
	port   int
	shoal  string
	bench  bench
}

func parse(args []string, stderr io.Writer) (options, error) {
	var names []string
	for _, s := range suites {
		names = append(names, s.name)
	}
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	chosen := f.String("suite", "core", "comma-separated: "+strings.Join(names, ", ")+", or all")
	only := f.String("systems", "", "comma-separated, of those that a suite has: "+systemNames()+" (default all)")
	f.IntVar(&o.bench.rounds, "rounds", 3, "rounds; figures are medians over them")
	f.DurationVar(&o.bench.seconds, "seconds", 2*time.Second, "length of one measurement; fixed rates take longer")
	f.IntVar(&o.bench.limit, "n", 0, "commands of one measurement, instead of -seconds; not for fixed rates")
	f.Float64Var(&o.bench.foreign, "foreign", 0.08, "share of the machine's CPU time that others may take: a measurement with more is repeated")
	f.StringVar(&o.out, "out", "docs/benchmarks", "folder for SUITE.md, SUITE.json and SUITE.svg; empty: print only")
	f.IntVar(&o.port, "port", 17000, "first port to try; peers listen 10000 higher")
	f.StringVar(&o.shoal, "shoal", "", "a built shoal (default: build ./cmd/shoal)")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	case o.bench.rounds < 1 || o.bench.seconds <= 0 || o.bench.limit < 0:
		return o, errors.New("-rounds and -seconds must be positive, -n not negative")
	}
	for _, name := range list(*chosen) {
		i := slices.Index(names, name)
		switch {
		case name == "all":
			o.suites = suites
		case i < 0:
			return o, fmt.Errorf("no suite is called %s: want %s or all", name, strings.Join(names, ", "))
		default:
			o.suites = append(o.suites, suites[i])
		}
	}
	o.bench.systems = list(*only)
	for _, name := range o.bench.systems {
		if !slices.ContainsFunc(systems, func(s system) bool { return s.name == name }) {
			return o, fmt.Errorf("no system is called %s: want some of %s", name, systemNames())
		}
	}
	return o, nil
}

func systemNames() string {
	var names []string
	for _, s := range systems {
		names = append(names, s.name)
	}
	return strings.Join(names, ", ")
}

// list is the parts of a comma-separated flag.
func list(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' })
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	server, err := exec.LookPath("redis-server")
	if err != nil {
		return errors.New("redis-server is missing: install it (Debian: apt-get install redis-server), ratios need it")
	}
	dir, err := os.MkdirTemp("", "shoal-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if o.shoal == "" {
		if o.shoal, err = build(ctx, dir); err != nil {
			return err
		}
	}
	o.bench.launcher = &launcher{dir: dir, redis: server, shoal: o.shoal, ports: ports{next: o.port}}
	o.bench.machine = describe(ctx, server, dir)
	o.bench.progress = stderr
	for _, s := range o.suites {
		r, err := o.bench.run(ctx, s)
		if err != nil {
			return err
		}
		if err := publish(r, stdout, o.out); err != nil {
			return err
		}
	}
	return nil
}

// build compiles shoal from the module that the working directory is in.
func build(ctx context.Context, dir string) (string, error) {
	program := filepath.Join(dir, "shoal")
	out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "shoal/cmd/shoal").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building shoal: %w\n%s", err, out)
	}
	return program, nil
}

// publish prints a suite's figures and, unless out is empty, writes them into that folder.
func publish(r *results, stdout io.Writer, out string) error {
	text := r.markdown()
	if _, err := io.WriteString(stdout, text); err != nil {
		return err
	}
	if out == "" {
		return nil
	}
	raw, err := r.json()
	if err != nil {
		return err
	}
	picture, err := r.svg()
	if err != nil {
		return err
	}
	for ext, content := range map[string][]byte{".md": []byte(text), ".json": raw, ".svg": picture} {
		if err := os.WriteFile(filepath.Join(out, r.Suite+ext), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
