package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"shoal/node"
)

const settleTime = 5 * time.Second

func dev(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	f := pflag.NewFlagSet("dev", pflag.ContinueOnError)
	f.SetOutput(stderr)
	nodes := f.Int("nodes", 3, "number of nodes")
	port := f.Int("port", 6379, "client port of the first node; the others follow")
	dir := f.String("dir", "", "folder to keep the data in (default: a temporary one, removed at exit)")
	verbose := f.Bool("verbose", false, "log what the nodes do")
	if err := f.Parse(args); err != nil {
		return err
	}
	switch {
	case f.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", f.Arg(0))
	case *nodes < 1 || *nodes > 64:
		return fmt.Errorf("--nodes %d: want 1 to 64", *nodes)
	case *port < 1 || *port+*nodes-1+10000 > 65535:
		return fmt.Errorf("--port %d: want a port that leaves room for the peer ports, 10000 above", *port)
	}
	if *dir == "" {
		tmp, err := os.MkdirTemp("", "shoal-dev-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(tmp) }()
		*dir = tmp
	}
	log := slog.New(slog.DiscardHandler)
	if *verbose {
		log = slog.New(slog.NewTextHandler(stderr, nil))
	}
	c := devCluster{dir: *dir, port: *port, log: log, stdout: stdout}
	err := c.start(ctx, *nodes)
	if err == nil {
		fmt.Fprintf(stdout, "\nConnect to any of them, for instance:\n  redis-cli -p %d\n  redis-cli -c -p %d\nCtrl-C stops the cluster.\n", *port, *port+*nodes-1)
		select {
		case <-ctx.Done():
		case err = <-c.failed():
		}
	}
	if ctx.Err() != nil {
		err = nil
	}
	return errors.Join(err, c.stop())
}

// devCluster is a cluster in this process, on consecutive ports of the loopback interface.
type devCluster struct {
	dir    string
	port   int
	log    *slog.Logger
	stdout io.Writer
	nodes  []*node.Node
	errs   chan error
}

func (c *devCluster) start(ctx context.Context, count int) error {
	c.errs = make(chan error, count)
	first := address(c.port + 10000)
	restarted := founded(filepath.Join(c.dir, "n1"))
	for i := range count {
		o := node.Options{
			Name:    "n" + strconv.Itoa(i+1),
			Listen:  address(c.port + i),
			Dir:     filepath.Join(c.dir, "n"+strconv.Itoa(i+1)),
			Log:     c.log,
			OnFatal: die,
		}
		if i > 0 {
			o.Join = []string{first}
		}
		n, err := node.Start(o, realWorld())
		if err != nil {
			return err
		}
		c.nodes = append(c.nodes, n)
		if restarted {
			continue // members of a kept cluster may need each other to become ready
		}
		if err := c.await(ctx, n); err != nil {
			return err
		}
	}
	for i, n := range c.nodes {
		if err := c.await(ctx, n); err != nil {
			return err
		}
		c.settle(ctx, n)
		fmt.Fprintf(c.stdout, "n%d ready on %s\n", i+1, n.ClientAddr())
	}
	return nil
}

func (c *devCluster) await(ctx context.Context, n *node.Node) error {
	select {
	case <-n.Ready():
		return nil
	case err := <-n.Failed():
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// settle waits until the node sees all others and its replicas may answer, so that what is tried at once works. A kept
// cluster may have had more nodes than are started now: that must not hold it up for ever.
func (c *devCluster) settle(ctx context.Context, n *node.Node) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for ctx.Err() == nil {
		if st := n.Status(); st.Live == st.Members && st.ReplicasWhole == st.Replicas {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// failed receives the first failure of any node.
func (c *devCluster) failed() <-chan error {
	for _, n := range c.nodes {
		go func() { c.errs <- <-n.Failed() }()
	}
	return c.errs
}

func (c *devCluster) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	var errs []error
	for _, n := range c.nodes {
		errs = append(errs, n.Close(ctx))
	}
	return errors.Join(errs...)
}

// founded reports whether the folder holds a node already.
func founded(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && len(entries) > 0
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
