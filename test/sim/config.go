package sim

// Config is the shape of one world. Times are in ms.
type Config struct {
	n, r, w    int
	q          int // partitions
	members    int
	keys       int
	clients    int
	strict     bool
	always     bool // sync at the end of each tick
	wild       bool // frames of a session are lost, doubled and reordered
	faults     bool
	joins      bool // all but one node join at the start, racing
	kills      bool
	losses     bool // crashes that lose the unsynced tail
	cuts       bool
	closeAfter int64 // an actor that blocks something is closed after so long
	reapEvery  int64 // deleted rows are looked for this often
	flushes    bool
	expiry     bool
	ages       bool // versions expire while the world runs
	contexts   bool // VGET, VSET, VDEL
	owned      bool // each key has one client, which waits for each answer
	careful    bool // the adversary never exceeds W-1 losses, though other copies may be left
	skew       int  // clocks are off by up to this
	latency    int  // mean delay of a frame
	loss       int  // percent, in a wild session
	lostWrites int  // percent of copies of writes, in a wild session
	lostWhole  bool // a power cut takes the whole tail
	double     int  // percent, in a wild session
	late       int  // percent of frames that come seconds late, in a wild session
	pause      int  // most between two faults
	storm      int  // most between two faults while nodes join
	entries    int  // log entries in one answer to a pull
	every      int64
	hedge      int64
	syncs      int64
	load       int64 // how long clients run
	timeout    int64
	compares   int64 // replicas are compared this often, 0: never
	vanish     bool  // rows vanish or are damaged behind a replica's back
	hints      bool  // the adversary sees to it that there are some
	hintMax    int64 // bytes of hints that a node keeps
	hintLate   int64 // hints are gone through this often
	disks      bool  // disks are lost: the node comes back as another one that replaces it
	backups    bool  // disks are put back to what they were some time ago
	caps       bool  // logs are trimmed before others have them
	ranges     int   // rows in one answer of a refill
	ruins      int   // percent of the faults that take a disk or put it back
	jumps      int   // percent of the faults that set a clock
	damages    int   // percent of the faults that damage a row
}

// quorumReads reports whether every answered read had R owners.
func (c *Config) quorumReads() bool { return c.r+c.w > c.n && (c.strict || !c.faults) }

// configure draws a world's shape.
func configure(r *random) Config {
	c := Config{
		n: 3, r: 2, w: 2, q: 1 << r.below(3), members: 3, keys: r.between(1, 4), clients: r.between(1, 4),
		strict: r.percent(60), always: r.percent(15), wild: r.percent(50), faults: r.percent(85),
		reapEvery: int64(r.between(300, 1500)), closeAfter: int64(r.between(20, 2000)), flushes: r.percent(30), expiry: r.percent(25), contexts: r.percent(60),
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
	if r.percent(40) { // often enough that messages are late for it
		c.reapEvery, c.syncs, c.every = int64(r.between(20, 200)), int64(r.between(100, 400)), int64(r.between(100, 500))
	}
	c.shapeFaults(r)
	c.ages = c.expiry && c.faults && r.percent(60)
	c.shapeComparisons(&random{state: ^r.state}) // apart: the other worlds are what they would be without
	c.shapeHints(&random{state: r.state ^ 0x5DEECE66D})
	c.shapeRepair(&random{state: r.state ^ 0x5bd1e995})
	c.shapeJumps(&random{state: r.state ^ 0x2545F491})
	c.shapeDamage(&random{state: r.state ^ 0x9E3779B9})
	return c
}

// shapeRepair: what makes replicas be filled.
func (c *Config) shapeRepair(r *random) {
	c.ranges, c.ruins = r.between(1, 3), 15
	if !c.faults || c.vanish || !r.percent(40) {
		return
	}
	c.disks, c.backups, c.caps = r.percent(60) && c.members >= 3, r.percent(60), r.percent(60)
	c.load, c.keys = max(c.load, 3000), max(c.keys, 2)
	if r.percent(50) {
		c.reapEvery = int64(r.between(20, 200))
	}
	if r.percent(50) {
		c.focusOnFills(r)
	}
}

// focusOnFills: fills that last, of replicas that have much to lose, while frames are lost and quorums are read.
func (c *Config) focusOnFills(r *random) {
	c.q, c.keys, c.clients, c.ranges, c.latency = 1, 4, 3, 1, r.between(5, 30)
	c.strict, c.wild, c.kills, c.losses, c.owned, c.joins = true, true, true, true, false, false
	c.disks, c.backups, c.caps, c.ruins, c.pause = c.members >= 3, true, true, 40, r.between(150, 500)
	c.loss, c.late, c.load, c.every = r.between(5, 40), r.between(0, 4), max(c.load, 4000), min(c.every, 800)
	c.flushes = c.flushes && r.percent(30)
}

// shapeComparisons: what vanishes rests for seconds before and after, so a world in which rows do takes its time.
func (c *Config) shapeComparisons(r *random) {
	if !r.percent(30) {
		return
	}
	c.compares = int64(r.between(50, 1500))
	if c.vanish = r.percent(60); c.vanish {
		c.careful = true
		c.compares, c.keys, c.load = min(c.compares, 600), max(c.keys, 2), max(c.load, 4000)
	}
}

// shapeHints: in some worlds there are more nodes than owners, and a write that W owners cannot take goes to them.
func (c *Config) shapeHints(r *random) {
	c.hintMax, c.hintLate = 1<<20, int64(r.between(100, 1500))
	if r.percent(25) {
		c.hintMax = int64(r.between(0, 500))
	}
	if !c.faults || c.w == 1 || r.percent(80) {
		return
	}
	c.hints, c.strict, c.vanish = true, false, false
	c.members = max(c.members, c.n+r.between(1, 3))
	c.kills, c.cuts = true, c.cuts || r.percent(50)
	switch r.below(3) {
	case 0: // long absences of owners, tails lost, late frames and reaping
		c.losses, c.pause, c.keys = true, min(c.pause, 400), min(c.keys, 2)
		c.reapEvery, c.flushes, c.wild, c.load = int64(r.between(20, 200)), false, true, max(c.load, 4000)
		c.syncs, c.every = min(c.syncs, 500), min(c.every, 500)
	case 1:
		c.losses, c.pause, c.syncs = true, min(c.pause, 300), max(c.syncs, 1500)
	}
	if r.percent(10) { // answers that take longer than a round over the hints waits for them
		c.latency = r.between(30, 50)
	}
}

// shapeJumps: clocks are set while the world runs. There is nobody to tell whose clock is wrong where there are only two.
func (c *Config) shapeJumps(r *random) {
	if !c.faults || c.members < 3 || !r.percent(20) {
		return
	}
	c.jumps = r.between(10, 50)
	if r.percent(60) {
		c.expiry, c.ages = true, r.percent(60)
	}
}

// shapeDamage: rows become unreadable while they are written to. Not where replicas are filled: one damaged row of the only
// source ends every fill.
func (c *Config) shapeDamage(r *random) {
	if !c.faults || c.vanish || c.disks || c.backups || c.caps || c.w == 1 || c.members < 2 || !r.percent(15) {
		return
	}
	c.damages, c.careful = r.between(20, 70), true
	c.compares, c.keys, c.load = int64(r.between(50, 500)), max(c.keys, 2), max(c.load, 4000)
	c.every, c.syncs, c.pause = min(c.every, 300), min(c.syncs, 300), min(c.pause, 500)
}

// calm is the usual pause between two faults, at most.
const calm = 900

func (c *Config) shapeFaults(r *random) {
	// A sentence about W-1 of the places holds for wholeness only while no more were lost: see Puller.
	c.careful = c.n > 3 || c.w != 2
	c.pause, c.storm = calm, calm
	if !c.faults {
		c.skew, c.wild = r.between(0, 500), c.wild && r.percent(50)
		return
	}
	c.skew = r.between(0, 300)
	c.kills, c.losses, c.cuts = r.percent(60), r.percent(70), r.percent(60)
	if c.wild {
		c.loss, c.double, c.late = r.between(0, 20), r.between(0, 10), r.between(0, 4)
	}
	if c.joins && r.percent(50) {
		c.members, c.storm, c.kills, c.cuts = max(c.members, 5), r.between(50, 400), true, true
	}
	switch r.below(9) {
	case 0:
		c.focusOnLoss(r)
	case 1:
		c.focusOnReads(r)
	case 2:
		c.focusOnFlushes(r)
	case 3, 4:
		c.focusOnClosing(r)
	}
}

// focusOnClosing: half of the copies of writes are lost, tails always, and what died with a life is looked for at once.
func (c *Config) focusOnClosing(r *random) {
	c.wild, c.losses, c.kills, c.cuts, c.always, c.joins = true, true, false, r.percent(50), false, false
	c.lostWrites, c.lostWhole = 50, true
	c.loss, c.late = r.between(0, 5), r.between(0, 6)
	c.closeAfter, c.pause, c.syncs = int64(r.between(10, 200)), r.between(200, 1200), int64(r.between(500, 4000))
	c.every, c.reapEvery, c.load = int64(r.between(200, 2000)), int64(r.between(20, 200)), int64(r.between(3000, 5000))
	c.keys, c.clients = r.between(1, 3), r.between(2, 4)
	if c.careful = c.n > 3 || c.w != 2; c.members < 3 {
		c.members = 3
	}
}

// focusOnReads: values that only their coordinator holds are read, and then the coordinator is gone.
func (c *Config) focusOnReads(r *random) {
	c.n, c.r, c.w, c.careful = 3, 2, 2, false
	c.strict, c.owned, c.wild, c.kills, c.cuts = true, false, true, true, true
	c.keys, c.clients, c.loss, c.pause = 1, 4, r.between(20, 50), 400
	c.flushes, c.expiry, c.contexts = false, false, true
}

// focusOnFlushes: clocks with holes, and flushes made of them.
func (c *Config) focusOnFlushes(r *random) {
	c.flushes, c.wild, c.cuts, c.owned = true, true, true, false
	c.keys, c.clients, c.loss, c.entries = 4, 4, r.between(10, 40), 1000
}

// focusOnLoss: what a mix of faults rarely meets, namely many lost tails, most of them large, while quorums are read.
func (c *Config) focusOnLoss(r *random) {
	c.strict, c.always, c.losses, c.kills, c.cuts = true, false, true, true, r.percent(50)
	c.syncs, c.pause = int64(r.between(1000, 5000)), r.between(100, 600)
	c.joins, c.load = false, 4000
	switch r.below(3) {
	case 0:
		c.n, c.r, c.w, c.members = 3, 1, 3, 3
	case 1:
		c.n, c.r, c.w, c.members = 5, 3, 3, 5
	}
	c.careful = c.n > 3 || c.w != 2
}
