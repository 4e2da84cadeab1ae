//go:build linux

package main

import "time"

// dataset is what a system is loaded with.
type dataset struct {
	Keys      int `json:"keys"`
	ValueSize int `json:"value_size"`
}

// cell is one thing to measure. Its strings are its identity; a system is measured at most once per round in a cell.
type cell struct {
	Data  dataset `json:"data"`
	Shape string  `json:"shape"` // a, b, c, rate or stop
	Op    string  `json:"op"`
	Mode  string  `json:"mode"` // plain or cluster: what clients do

	like     string // op of the plain cell that the reference is measured in, if not Op
	writes   int    // per cent
	multi    int    // keys per command
	zipf     bool
	readonly bool
}

const (
	plain     = "plain"
	clustered = "cluster"
)

// setAndWait is how a client of Redis Cluster writes to two machines: every batch ends with WAIT 1 100.
const setAndWait = "SET, WAIT 1"

// reference is the cell of the reference system that this one is compared with: the same, by a plain client.
func (c cell) reference() cell {
	c.Mode = plain
	if c.like != "" {
		c.Op = c.like
	}
	return c.key()
}

// key is the cell's identity alone, comparable.
func (c cell) key() cell { return cell{Data: c.Data, Shape: c.Shape, Op: c.Op, Mode: c.Mode} }

// shape is how clients ask.
type shape struct {
	clients  int
	pipeline int
	rate     float64 // commands a second, open loop; 0: closed
	stops    bool    // one node is stopped now and then, and clients ask the others
	atLeast  time.Duration
}

// openClients is how many clients a fixed rate has for reads, and as many for writes. 10,000 requests a second need about
// ten; a node that stands still for 100 ms holds up a few hundred.
const openClients = 256

var shapes = map[string]shape{
	"a":    {clients: 50, pipeline: 1},
	"b":    {clients: 50, pipeline: 16},
	"c":    {clients: 1, pipeline: 1},
	"rate": {clients: openClients, pipeline: 1, rate: 10_000, atLeast: 5 * time.Second},
	"stop": {clients: openClients, pipeline: 1, rate: 10_000, stops: true, atLeast: 10 * time.Second},
}

// stage is systems that are measured in turn, on data of one kind, in the cells that cells names for each.
type stage struct {
	data    dataset
	systems []string
	cells   func(system string) []cell
}

// suite is a set of stages whose figures are reported together.
type suite struct {
	name   string
	about  string
	stages []stage
}

var (
	small  = dataset{100_000, 128}
	medium = dataset{100_000, 1 << 10}
	large  = dataset{5_000, 64 << 10}
	many   = dataset{1_000_000, 128}
)

var suites = []suite{
	{"core", "100,000 keys of 128 bytes in shapes a, b and c", []stage{
		{small, []string{reference, "redis-cluster", "shoal", "redis-always", "shoal-always", "shoal-one"}, coreCells},
	}},
	{"values", "values of 1 KiB and 64 KiB", []stage{
		{medium, []string{reference, "shoal"}, readsAndWrites(medium, "a", "b")},
		{large, []string{reference, "shoal"}, readsAndWrites(large, "a")},
	}},
	{"keys", "1,000,000 keys, in memory and with memory for a quarter of them", []stage{
		{many, []string{reference, "shoal", "shoal-64mb"}, readsAndWrites(many, "a", "b")},
	}},
	{"mix", "Zipf-distributed keys, MGET and MSET of 20, nine reads to a write", []stage{
		{small, []string{reference, "shoal"}, mixCells},
	}},
	{"rate", "10,000 operations a second, open loop", []stage{
		{small, []string{reference, "shoal"}, readsAndWrites(small, "rate")},
	}},
	{"stop", "10,000 operations a second while one of three nodes stands still for 100 ms in every second", []stage{
		{small, []string{"shoal"}, func(string) []cell {
			return []cell{{Data: small, Shape: "stop", Op: "50/50", Mode: plain, writes: 50}}
		}},
	}},
	{"growth", "three and nine nodes on this machine", []stage{
		{small, []string{reference, "shoal", "shoal-9"}, func(system string) []cell {
			if system == reference {
				return setAndGet(small, "a", plain)
			}
			return setAndGet(small, "a", clustered)
		}},
	}},
}

func setAndGet(d dataset, shape, mode string) []cell {
	return []cell{
		{Data: d, Shape: shape, Op: "SET", Mode: mode, writes: 100},
		{Data: d, Shape: shape, Op: "GET", Mode: mode},
	}
}

// readsAndWrites is SET and GET in some shapes: by plain clients and, where there is a cluster, by cluster clients.
func readsAndWrites(d dataset, shapes ...string) func(string) []cell {
	return func(system string) (cells []cell) {
		for _, s := range shapes {
			cells = append(cells, setAndGet(d, s, plain)...)
			if system != reference {
				cells = append(cells, setAndGet(d, s, clustered)...)
			}
		}
		return cells
	}
}

func coreCells(system string) (cells []cell) {
	for _, s := range []string{"a", "b", "c"} {
		write := cell{Data: small, Shape: s, Op: "SET", writes: 100}
		switch system {
		case "redis-always": // reads do not depend on fsync
			cells = append(cells, write.by(plain))
		case "shoal-always", "shoal-one":
			cells = append(cells, write.by(plain), write.by(clustered))
		case "redis-cluster":
			write.Op, write.like = setAndWait, "SET"
			cells = append(cells, write.by(clustered), cell{Data: small, Shape: s, Op: "GET", Mode: clustered})
		case "shoal":
			cells = append(cells, readsAndWrites(small, s)(system)...)
			cells = append(cells, cell{Data: small, Shape: s, Op: "GET, R=1", Mode: clustered, like: "GET", readonly: true})
		default:
			cells = append(cells, setAndGet(small, s, plain)...)
		}
	}
	return cells
}

func mixCells(system string) (cells []cell) {
	both := func(c cell) {
		cells = append(cells, c.by(plain))
		if system != reference {
			cells = append(cells, c.by(clustered))
		}
	}
	for _, s := range []string{"a", "b"} {
		both(cell{Data: small, Shape: s, Op: "SET, zipf", writes: 100, zipf: true})
		both(cell{Data: small, Shape: s, Op: "GET, zipf", zipf: true})
		both(cell{Data: small, Shape: s, Op: "90/10", writes: 10})
	}
	// A cluster client would have to take the commands apart: keys of one command may have different slots.
	return append(cells,
		cell{Data: small, Shape: "a", Op: "MSET 20", Mode: plain, writes: 100, multi: 20},
		cell{Data: small, Shape: "a", Op: "MGET 20", Mode: plain, multi: 20})
}

// by is the cell with a mode.
func (c cell) by(mode string) cell {
	c.Mode = mode
	return c
}
