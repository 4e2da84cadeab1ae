package sim

// Config is the shape of one world. Times are in ms.
type Config struct {
	n, r, w  int
	q        int // partitions
	members  int
	keys     int
	clients  int
	strict   bool
	always   bool // sync at the end of each tick
	wild     bool // frames of a session are lost, doubled and reordered
	faults   bool
	joins    bool // all but one node join at the start, racing
	kills    bool
	losses   bool // crashes that lose the unsynced tail
	cuts     bool
	reaps    bool
	flushes  bool
	expiry   bool
	contexts bool // VGET, VSET, VDEL
	owned    bool // each key has one client, which waits for each answer
	careful  bool // the adversary never exceeds W-1 losses, though other copies may be left
	skew     int  // clocks are off by up to this
	latency  int  // mean delay of a frame
	loss     int  // percent, in a wild session
	double   int  // percent, in a wild session
	entries  int  // log entries in one answer to a pull
	every    int64
	hedge    int64
	syncs    int64
	load     int64 // how long clients run
	timeout  int64
}

// quorumReads reports whether every answered read had R owners.
func (c *Config) quorumReads() bool { return c.r+c.w > c.n && (c.strict || !c.faults) }

// configure draws a world's shape.
func configure(r *random) Config {
	c := Config{
		n: 3, r: 2, w: 2, q: 1 << r.below(3), members: 3, keys: r.between(1, 4), clients: r.between(1, 4),
		strict: r.percent(60), always: r.percent(15), wild: r.percent(50), faults: r.percent(85),
		reaps: r.percent(25), flushes: r.percent(25), expiry: r.percent(25), contexts: r.percent(60),
		owned: r.percent(40), latency: r.between(1, 15), entries: 1000,
		every: int64(r.between(200, 3000)), hedge: int64(r.between(5, 60)), syncs: int64(r.between(200, 2000)),
		load: int64(r.between(1000, 5000)), timeout: 1000, joins: r.percent(20),
	}
	switch r.below(20) {
	case 0:
		c.members = 1
	case 1, 2:
		c.members = 2
	case 3:
		c.members = 4
	case 4, 5:
		c.members = 5
	case 6, 7, 8:
		c.n, c.r, c.w, c.members = 5, 3, 3, 5
	case 9:
		c.r, c.w = 1, 3
	case 10:
		c.r, c.w = 3, 1
	case 11:
		c.r, c.w = 2, 3
	}
	if r.percent(40) {
		c.entries = r.between(1, 3)
	}
	c.shapeFaults(r)
	return c
}

func (c *Config) shapeFaults(r *random) {
	// A sentence about W-1 of the places holds for wholeness only while no more were lost: see Puller.
	c.careful = c.n > 3 || c.w != 2
	if !c.faults {
		c.skew, c.wild = r.between(0, 150), c.wild && r.percent(50)
		return
	}
	c.skew = r.between(0, 300)
	c.kills, c.losses, c.cuts = r.percent(60), r.percent(70), r.percent(60)
	if c.wild {
		c.loss, c.double = r.between(0, 20), r.between(0, 10)
	}
}
