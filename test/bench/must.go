//go:build linux

package main

import "fmt"

// must is a figure that shoal is to keep below a limit.
type must struct {
	suite  string
	claim  string
	short  string // in the picture, if not the row's label
	group  string // bars of one group share a scale; "" is CPU per operation in terms of the reference
	unit   string
	limit  float64
	row    row
	figure func(*results) spread
}

// judged is a must with what was measured.
type judged struct {
	must
	spread
}

// verdict goes by the median.
func (j judged) verdict() string {
	switch {
	case j.n == 0:
		return "not measured"
	case j.median <= j.limit:
		return "met"
	}
	return "missed"
}

// label is the claim in short, beside the group's title.
func (m must) label() string {
	if m.short != "" {
		return m.short
	}
	return m.row.label()
}

// judge applies the suite's musts to what was measured.
func (r *results) judge() (all []judged) {
	for _, m := range musts {
		if m.suite == r.Suite {
			all = append(all, judged{m, m.figure(r)})
		}
	}
	return all
}

// cpuRatio is a must of CPU per operation in terms of the reference.
func cpuRatio(shape, op, mode string, limit float64) must {
	of := row{"shoal", cell{Data: small, Shape: shape, Op: op, Mode: mode}}
	return must{
		suite: "core", unit: "x", limit: limit, row: of,
		claim:  fmt.Sprintf("(%s) %s, %s client: CPU per operation, of redis-server's", shape, op, mode),
		figure: func(r *results) spread { return r.ratio(of, r.compared(of), cpuOf) },
	}
}

func medianRatio(op, mode string, limit float64) must {
	of := row{"shoal", cell{Data: small, Shape: "c", Op: op, Mode: mode}}
	return must{
		suite: "core", group: "p50 latency of one client, of redis-server's", unit: "x", limit: limit, row: of,
		claim:  fmt.Sprintf("(c) %s, %s client: p50, of redis-server's", op, mode),
		figure: func(r *results) spread { return r.ratio(of, r.compared(of), p50Of) },
	}
}

func alwaysRatio(mode string, limit float64) must {
	write := cell{Data: small, Shape: "b", Op: "SET", Mode: mode}
	of, to := row{"shoal-always", write}, row{"redis-always", write.by(plain)}
	return must{
		suite: "core", group: "CPU per operation with appendfsync always, of redis-server's with always", unit: "x",
		limit: limit, row: of,
		claim:  fmt.Sprintf("always (b) SET, %s client: CPU per operation, of redis-server's with always", mode),
		figure: func(r *results) spread { return r.ratio(of, to, cpuOf) },
	}
}

func rateRatio(op, mode string, limit float64) must {
	of := row{"shoal", cell{Data: small, Shape: "rate", Op: op, Mode: mode}}
	return must{
		suite: "rate", group: "p99 latency at 10,000 operations a second, of redis-server's", unit: "x", limit: limit, row: of,
		claim:  fmt.Sprintf("10,000 %s a second, %s client: p99, of redis-server's", op, mode),
		figure: func(r *results) spread { return r.ratio(of, r.compared(of), p99Of) },
	}
}

func stopLatency(what string, m metric, limit float64) must {
	of := row{"shoal", cell{Data: small, Shape: "stop", Op: "50/50", Mode: plain}}
	return must{
		suite: "stop", group: "p99.9 latency while one of three nodes stands still for 100 ms in every second", unit: "ms",
		limit: limit, row: of,
		short:  what,
		claim:  fmt.Sprintf("one node stops for 100 ms in every second: p99.9 of %s", what),
		figure: func(r *results) spread { return r.spread(of, m) },
	}
}

func growth(op string, limit float64) must {
	asks := cell{Data: small, Shape: "a", Op: op, Mode: clustered}
	of, to := row{"shoal-9", asks}, row{"shoal", asks}
	return must{
		suite: "growth", group: "CPU per operation of nine nodes, more than of three", unit: "%", limit: limit, row: of,
		claim: fmt.Sprintf("from 3 to 9 nodes, (a) %s, cluster client: more CPU per operation", op),
		figure: func(r *results) spread {
			s := r.ratio(of, to, cpuOf)
			percent := func(ratio float64) float64 { return 100 * (ratio - 1) }
			return spread{percent(s.median), percent(s.min), percent(s.max), s.n}
		},
	}
}

// musts are the limits, from the issue that asked for these figures.
var musts = []must{
	cpuRatio("a", "SET", clustered, 4.0),
	cpuRatio("a", "SET", plain, 4.0),
	cpuRatio("a", "GET", plain, 2.8),
	cpuRatio("b", "SET", clustered, 4.5),
	cpuRatio("b", "SET", plain, 4.0),
	cpuRatio("b", "GET", plain, 3.0),
	cpuRatio("b", "GET, R=1", clustered, 1.6),
	medianRatio("SET", plain, 2.5),
	medianRatio("SET", clustered, 2.5),
	medianRatio("GET", plain, 2.2),
	medianRatio("GET", clustered, 2.2),
	alwaysRatio(plain, 4.5),
	alwaysRatio(clustered, 4.5),
	{
		suite: "core", group: "Peak memory after loading 100,000 keys", unit: "MiB", limit: 400, short: "shoal, three nodes together",
		claim: "peak RSS of three nodes after loading 100,000 keys of 128 bytes", row: row{system: "shoal"},
		figure: func(r *results) spread { return r.loadedPeak("shoal", small) },
	},
	rateRatio("SET", plain, 3),
	rateRatio("SET", clustered, 3),
	rateRatio("GET", plain, 3),
	rateRatio("GET", clustered, 3),
	stopLatency("reads", readsP999Of, 20),
	stopLatency("writes", writesP999Of, 150),
	growth("SET", 25),
	growth("GET", 25),
}
