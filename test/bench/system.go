//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"shoal/ring"
)

// system is something that can be measured.
type system struct {
	name  string
	nodes int    // that clients talk to
	fsync string // appendfsync
	start func(context.Context, *launcher, system, *cluster) error
	more  []string // arguments
}

// reference is the system that ratios are to.
const reference = "redis"

var systems = []system{
	{reference, 1, "everysec", startRedis, nil},
	{"redis-always", 1, "always", startRedis, nil},
	{"redis-cluster", 3, "everysec", startRedisCluster, nil},
	{"shoal", 3, "everysec", startShoal, nil},
	{"shoal-always", 3, "always", startShoal, nil},
	{"shoal-one", 3, "one", startShoal, nil},
	{"shoal-64mb", 3, "everysec", startShoal, []string{"--memory", "64mb"}},
	{"shoal-9", 9, "everysec", startShoal, nil},
}

// launcher starts servers, each in a folder of its own.
type launcher struct {
	dir   string // new folders go here
	redis string // program
	shoal string // program
	ports ports
	count int
}

// cluster is a running system.
type cluster struct {
	dir   string
	procs []*process
	addrs []string   // of the nodes that clients talk to; the first of procs
	route *slotTable // nil when it is no cluster
}

// launch starts a system and waits until it is ready. On failure nothing is left running.
func (l *launcher) launch(ctx context.Context, s system) (*cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	l.count++
	c := &cluster{dir: filepath.Join(l.dir, strconv.Itoa(l.count))}
	if err := os.Mkdir(c.dir, 0o700); err != nil {
		return nil, err
	}
	if err := s.start(ctx, l, s, c); err != nil {
		err = errors.Join(c.check(), err) // that a server has ended is the better reason
		c.stop()
		return nil, fmt.Errorf("%s does not start: %w", s.name, err)
	}
	return c, nil
}

// stop ends all servers and removes their data.
func (c *cluster) stop() {
	for _, p := range c.procs {
		p.kill()
	}
	_ = os.RemoveAll(c.dir) // what is left goes with the launcher's folder
}

// check fails when a server has ended.
func (c *cluster) check() error {
	var all []error
	for _, p := range c.procs {
		all = append(all, p.check())
	}
	return errors.Join(all...)
}

// add starts a server on a free port and waits until it answers PING. args makes its arguments from its name, its folder
// and its ports.
func (c *cluster) add(ctx context.Context, l *launcher, program string, args func(name, dir string, port int) []string) error {
	port, err := l.ports.take()
	if err != nil {
		return err
	}
	name := "n" + strconv.Itoa(len(c.procs))
	dir := filepath.Join(c.dir, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	p, err := start(c.dir, name, address(port), program, args(name, dir, port)...)
	if err != nil {
		return err
	}
	c.procs = append(c.procs, p)
	return p.until(ctx, func(r *redis.Client) error { return r.Ping(ctx).Err() })
}

const host = "127.0.0.1"

func address(port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

func startRedis(ctx context.Context, l *launcher, s system, c *cluster) error {
	if err := c.addRedis(ctx, l, s); err != nil {
		return err
	}
	c.addrs = addrsOf(c.procs)
	return nil
}

// addRedis starts a redis-server that appends to a log and makes no snapshots.
func (c *cluster) addRedis(ctx context.Context, l *launcher, s system, more ...string) error {
	return c.add(ctx, l, l.redis, func(_, dir string, port int) []string {
		return append([]string{"--bind", host, "--port", strconv.Itoa(port), "--dir", dir,
			"--save", "", "--appendonly", "yes", "--appendfsync", s.fsync}, more...)
	})
}

// startRedisCluster starts three masters and a replica of each.
func startRedisCluster(ctx context.Context, l *launcher, s system, c *cluster) error {
	masters := s.nodes
	for range 2 * masters {
		// By default a master waits five seconds for more replicas before it sends its first snapshot.
		if err := c.addRedis(ctx, l, s, "--cluster-enabled", "yes", "--repl-diskless-sync-delay", "0"); err != nil {
			return err
		}
	}
	c.addrs = addrsOf(c.procs[:masters])
	ids := make([]string, masters)
	for i, p := range c.procs {
		err := p.ask(func(r *redis.Client) (err error) {
			if i < masters {
				first, last := i*ring.Slots/masters, (i+1)*ring.Slots/masters-1
				if err := r.ClusterAddSlotsRange(ctx, first, last).Err(); err != nil {
					return err
				}
				if ids[i], err = r.ClusterMyID(ctx).Result(); err != nil {
					return err
				}
			}
			if err := r.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err(); err != nil {
				return err
			}
			host, port, err := net.SplitHostPort(c.addrs[0])
			if err != nil {
				return err
			}
			return r.ClusterMeet(ctx, host, port).Err()
		})
		if err != nil {
			return err
		}
	}
	if err := c.known(ctx, len(c.procs)); err != nil {
		return err
	}
	for i, p := range c.procs[masters:] {
		err := p.until(ctx, func(r *redis.Client) error { return r.ClusterReplicate(ctx, ids[i]).Err() })
		if err != nil {
			return err
		}
	}
	for _, p := range c.procs[masters:] {
		if err := p.untilSays(ctx, "master_link_status:up", "INFO", "replication"); err != nil {
			return err
		}
	}
	return c.clustered(ctx, len(c.procs))
}

// startShoal starts nodes that join one after the other.
func startShoal(ctx context.Context, l *launcher, s system, c *cluster) error {
	var first int
	for range s.nodes {
		err := c.add(ctx, l, l.shoal, func(name, dir string, port int) []string {
			args := append([]string{"serve", "--name", name, "--listen", address(port), "--peer", address(port + peerOffset),
				"--dir", dir, "--appendfsync", s.fsync}, s.more...)
			if first != 0 {
				return append(args, "--join", address(first+peerOffset))
			}
			first = port
			return args
		})
		if err != nil {
			return err
		}
	}
	c.addrs = addrsOf(c.procs)
	for _, p := range c.procs {
		if err := p.untilSays(ctx, fmt.Sprintf("ring_live:%d", s.nodes), "INFO", "ring"); err != nil {
			return err
		}
	}
	return c.clustered(ctx, s.nodes)
}

func addrsOf(procs []*process) (addrs []string) {
	for _, p := range procs {
		addrs = append(addrs, p.addr)
	}
	return addrs
}

// known waits until every process knows so many nodes.
func (c *cluster) known(ctx context.Context, nodes int) error {
	for _, p := range c.procs {
		if err := p.untilSays(ctx, fmt.Sprintf("cluster_known_nodes:%d", nodes), "CLUSTER", "INFO"); err != nil {
			return err
		}
	}
	return nil
}

// clustered waits until every process says that the cluster is well, and reads where keys go.
func (c *cluster) clustered(ctx context.Context, nodes int) error {
	if err := c.known(ctx, nodes); err != nil {
		return err
	}
	for _, p := range c.procs {
		if err := p.untilSays(ctx, "cluster_state:ok", "CLUSTER", "INFO"); err != nil {
			return err
		}
	}
	return c.procs[0].ask(func(r *redis.Client) error {
		//lint:ignore SA1019 most clients ask CLUSTER SLOTS, so it is what has to be measured
		slots, err := r.ClusterSlots(ctx).Result()
		if err != nil {
			return err
		}
		c.route, err = newSlotTable(slots, c.addrs)
		return err
	})
}
