package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"shoal/engine"
	"shoal/node"
)

// drainTime bounds what SIGTERM waits for: running vectors end within their timeout.
const drainTime = 8 * time.Second

func serve(ctx context.Context, args []string, stderr io.Writer) error {
	var o node.Options
	var fsync, password, secret string
	f := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	f.SetOutput(stderr)
	f.SortFlags = false
	f.StringVar(&o.Name, "name", "", "name of this node, unique in the cluster")
	f.StringVar(&o.Listen, "listen", "", "host:port for clients")
	f.StringVar(&o.Peer, "peer", "", "host:port for nodes, TCP and UDP (default: client port + 10000)")
	f.StringVar(&o.Dir, "dir", "", "folder of this node's data and identity")
	f.StringArrayVar(&o.Join, "join", nil, "host:peerport of a member; may be repeated")
	f.StringVar(&o.Announce, "announce", "", "host:port that clients are told (default: --listen)")
	f.StringVar(&o.AnnouncePeer, "announce-peer", "", "host:port that nodes are told (default: --peer)")
	f.StringVar(&o.Zone, "zone", "", "failure domain: copies are spread over zones")
	f.Uint32Var(&o.Weight, "weight", 1, "share of the load relative to the other nodes")
	f.IntVar(&o.N, "n", 0, "copies of each key, fixed when the cluster is founded (default 3)")
	f.IntVar(&o.R, "r", node.DefaultR, "owners that must answer a read")
	f.IntVar(&o.W, "w", node.DefaultW, "owners that must have a write before it is acknowledged")
	f.StringVar(&fsync, "appendfsync", "everysec", "always | one (of the copies) | everysec | no")
	memory := f.String("memory", "", "memory for rows, for instance 512mb or 4gb (default: a quarter of the machine's)")
	f.BoolVar(&o.Strict, "strict", false, "refuse reads that fewer than R owners can answer, and writes that fewer than W owners can take: no hints")
	hints := f.String("hints-max", "", "disk for hints, for instance 10gb (default: a tenth of the disk)")
	kept := f.String("log-max", "", "disk for log entries that an owner still lacks (default: a tenth of the disk)")
	f.BoolVar(&o.Restored, "restored", false, "the folder was put back from a copy (found out by itself on Linux)")
	f.BoolVar(&o.NoLoop, "no-loop", false, "serve each connection by a goroutine of its own, not all by one loop: more CPU per operation, but more than one core")
	f.DurationVar(&o.Timeout, "timeout", node.DefaultTimeout, "deadline of an operation")
	compare := f.Duration("compare-every", node.DefaultCompareEvery, "how often replicas are compared with each other (0: never)")
	f.StringVar(&password, "requirepass-file", "", "file with the clients' password")
	f.StringVar(&secret, "cluster-secret-file", "", "file with the secret that nodes share")
	f.StringVar(&o.HTTP, "http", "", "host:port of /metrics, /healthz, /readyz and /status.json")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	for _, name := range []string{"name", "listen", "dir"} {
		if !f.Changed(name) {
			return fmt.Errorf("--%s is required", name)
		}
	}
	for _, name := range []string{"n", "r", "w"} {
		if v, _ := f.GetInt(name); f.Changed(name) && v < 1 {
			return fmt.Errorf("--%s must be at least 1", name)
		}
	}
	if o.Weight == 0 {
		return errors.New("--weight must be at least 1")
	}
	if o.Timeout <= 0 {
		return errors.New("--timeout must be more than 0")
	}
	for _, name := range []string{"r", "w"} {
		if v, _ := f.GetInt(name); f.Changed("n") && f.Changed(name) && v > o.N {
			return fmt.Errorf("--%s=%d cannot be more than --n=%d: there are no more copies", name, v, o.N)
		}
	}
	var err error
	if o.Durability, err = engine.ParseDurability(fsync); err != nil {
		return fmt.Errorf("--appendfsync %w", err)
	}
	if o.MemoryBytes, err = memoryBytes(*memory); err != nil {
		return err
	}
	if o.HintBytes, err = size("hints-max", *hints); err != nil {
		return err
	}
	if o.LogKeepBytes, err = size("log-max", *kept); err != nil {
		return err
	}
	limitMemory(o.MemoryBytes)
	if o.CompareEvery = *compare; *compare <= 0 {
		o.CompareEvery = -1
	}
	pass, err := secretFile(password)
	if err != nil {
		return err
	}
	o.Password = string(pass)
	if o.Secret, err = secretFile(secret); err != nil {
		return err
	}
	o.Log = slog.New(slog.NewTextHandler(stderr, nil))
	o.OnFatal = die
	copied, err := putBack(o.Dir)
	if err != nil {
		return err
	}
	if o.Restored = o.Restored || copied; o.Restored {
		o.Log.Warn("the folder was put back from a copy: the node takes what it lacks from the others before it answers by itself", "dir", o.Dir)
	}
	return runNode(ctx, o)
}

// die ends the process at once: after a failed fsync nothing that is still in memory may be acknowledged.
func die(err error) {
	fmt.Fprintln(os.Stderr, "shoal: the disk failed:", err)
	os.Exit(3)
}

func runNode(ctx context.Context, o node.Options) error {
	n, err := node.Start(o, realWorld())
	if err != nil {
		return err
	}
	if o.Restored { // the store remembers it from now on
		if err := markOrigin(o.Dir, filepath.Join(o.Dir, originFile)); err != nil {
			o.Log.Error("the folder will be taken for a copy at the next start, too", "err", err)
		}
	}
	var failed error
	select {
	case <-n.Ready():
		o.Log.Info("ready", "clients", n.ClientAddr())
		select {
		case <-ctx.Done():
		case failed = <-n.Failed():
		}
	case <-ctx.Done():
	case failed = <-n.Failed():
	}
	drain, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	o.Log.Info("stopping")
	return errors.Join(failed, n.Close(drain))
}

// secretFile reads a secret without the line end that editors add. "" names no file.
func secretFile(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if b = bytes.TrimRight(b, "\r\n"); len(b) == 0 {
		return nil, fmt.Errorf("the file %s is empty", path)
	}
	return b, nil
}
