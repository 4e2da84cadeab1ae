package sim

// Bug names a planted bug. Each is built into the simulated surroundings of the cores (store, frames, configuration),
// never into the cores, and behaves as the bug would.
type Bug int

// The planted bugs.
const (
	NoBug                Bug = iota
	ActorReused              // a boot goes on with the actor and seq that the disk has
	ContextExtended          // told of values it had not seen, a coordinator lets its existing dot cover them
	LoneVersion              // a write sends its own version and dot instead of the whole container
	LateMessagesTaken        // rows are merged without asking the clock
	AnsweredBeforeW          // a write is acknowledged when the coordinator holds it
	NotWrittenBack           // a read answers before R owners hold what it shows
	NotMerged                // a read does not look at what other owners answer
	IncompleteTakenOver      // an answer that left something out carries the clock all the same
	NotWholeCounts           // a replica that may have lost acknowledged writes counts towards R
	AcceptorForgets          // the acceptor's promise is not on disk before it is given
	WholeByNotWhole          // a replica becomes whole by pulling from replicas that are not
	WholeByBoot              // a kill -9 after a lost tail makes the replica whole
	FlushByVector            // a flush drops everything up to the highest dots it knows of
	OldSessions              // frames of a connection that has ended are taken
	RestoreSuperseded        // a comparison puts back what the row's vector covers
	RestoreLone              // a comparison puts back versions without their vector
	VectorNotHashed          // the hash of a row leaves its vector out
	ReapVolatile             // nodes tell their clocks of memory as durable ones
	ReapOneMissing           // a tombstone is reaped when all owners but one hold it durably
	ReapByDots               // a row is reaped when its dots are stable, whatever its vector names
	HorizonNotRaised         // reaping leaves the horizon where it is
	TrimAboveHoles           // the log is trimmed up to the highest dot of a clock
	ClosedWithoutVectors     // a closing looks at clocks, not at rows' vectors
	ClosedUnasked            // a closing does not ask one of the owners
	ClosedWithoutFence       // frames of earlier boots are taken after a closing has asked
	HintGoneByAck            // a hint is deleted when an owner has acknowledged it
	HintGoneByOne            // a hint is deleted when one owner has it durably
	HintCountedTwice         // one hint counts for two places
	HintsAlone               // hints are counted although the coordinator has not kept the write
	HintMergedRaw            // hints are taken in without asking the clock
	HintDroppedAtCap         // an old hint makes room for a new one
	FillByLastClock          // a refill takes over the clock of the source's last range
	FillReplaces             // a refill drops what the source lacks, whether it knew it or not
	FillingReads             // a replica that is being filled answers reads
	FillingCounts            // a replica that is being filled acknowledges writes
	HorizonNotKept           // nobody is found to be behind: neither by a pull nor at its end
	ClosedUnchecked          // an owner closes an actor although it lacks dots that exist
	RestoreReaped            // a comparison does not ask whether the other owner knows what was reaped
	ClosedByActorAlone       // earlier boots of the closed actor's node are fenced, those of others are not
	TimersByClock            // what waits goes by the clock, which jumps
	ReapedByWrongClock       // a node reaps what has expired by a clock that is off
	RightUnpulled            // who is right again coordinates without having pulled what others did
	OlderLoses               // of two values the one with the larger hlc wins
	bugs
)

var bugNames = [bugs]string{
	"none",
	"actor reused after a lost tail",
	"context of an existing dot extended",
	"lone version sent instead of the container",
	"late-message rule off",
	"write answered before W",
	"read answers before write-back",
	"read does not merge other owners",
	"clock taken over from an incomplete answer",
	"not whole replica counts towards R",
	"acceptor state not persisted",
	"whole by pulling from not whole replicas",
	"whole by kill -9 after a lost tail",
	"flush drops up to the highest dots",
	"frames of old sessions taken",
	"restored although superseded",
	"restored without the vector",
	"vector not in the hash",
	"reaped by the clock in memory",
	"reaped when all owners but one cover",
	"reaped by dots, not by the vector",
	"horizon not raised by reaping",
	"log trimmed above holes",
	"closed without looking at vectors",
	"closed without asking an owner",
	"closed without a fence",
	"hint deleted by an acknowledgement",
	"hint deleted when one owner has it",
	"one hint counted for two places",
	"hints counted without an owner",
	"hint taken in without the late-message rule",
	"old hint dropped at the cap",
	"refill takes the clock of the last range",
	"refill replaces instead of merging",
	"filling replica answers reads",
	"filling replica counts towards W",
	"nobody is found to be behind",
	"closed by an owner that lacks dots",
	"restored although reaped",
	"closed while another's earlier boot is heard",
	"timers by a clock that jumps",
	"reaped by a clock that is off",
	"right again without pulling",
	"the larger hlc wins",
}

func (b Bug) String() string { return bugNames[b] }
