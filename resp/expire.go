package resp

import (
	"math"

	"shoal/wire"
)

// farFuture keeps an expiry far enough from the largest int64 that a coordinator whose clock is ahead of ours cannot
// overflow when it adds its own now: one day, in ms.
const farFuture = 24 * 60 * 60 * 1000

// timeUnit is the unit of a command's argument, in ms.
type timeUnit int64

const (
	inSeconds timeUnit = 1000
	inMillis  timeUnit = 1
)

// expireArg turns the argument of a command into wire's mode and milliseconds. The relative time is left relative:
// the coordinator adds it to its own now, so that all versions of a vector share one clock. now is unix ms and serves
// the overflow check only. command is the name shown in the error, whose text is returned, "" when there is none.
func expireArg(command string, arg []byte, unit timeUnit, absolute bool, now int64) (mode wire.TTL, at int64, errText string) {
	at, ok := parseInt(arg)
	if !ok {
		return 0, 0, errNotInteger
	}
	if at > math.MaxInt64/int64(unit) || at < math.MinInt64/int64(unit) {
		return 0, 0, errExpireTime(command)
	}
	at *= int64(unit)
	if absolute {
		return wire.TTLAbsolute, at, ""
	}
	if at > math.MaxInt64-now-farFuture {
		return 0, 0, errExpireTime(command)
	}
	return wire.TTLRelative, at, ""
}

// setOptions are the options of SET and VSET after the value.
type setOptions struct {
	mode     wire.TTL
	unit     timeUnit
	absolute bool
	when     []byte // the argument of EX, PX, EXAT or PXAT
	refused  string // an option of Redis that shoal does not have
}

// expireOptions are the options that take a time.
var expireOptions = []struct {
	name     string
	unit     timeUnit
	absolute bool
}{
	{"ex", inSeconds, false},
	{"px", inMillis, false},
	{"exat", inSeconds, true},
	{"pxat", inMillis, true},
}

// parseSetOptions reads [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL]. Like Redis it lets an option be repeated and the
// last one count, and answers a syntax error to two different ones. NX, XX and GET are known and refused.
func parseSetOptions(args [][]byte) (o setOptions, errText string) {
	seen := "" // the kind of expiry chosen so far
	var nx, xx, get bool
	for i := 0; i < len(args); i++ {
		switch {
		case equalFold(args[i], "nx") && !xx:
			nx = true
		case equalFold(args[i], "xx") && !nx:
			xx = true
		case equalFold(args[i], "get"):
			get = true
		case equalFold(args[i], "keepttl"):
			if seen != "" && seen != "keepttl" {
				return o, errSyntax
			}
			seen, o.mode = "keepttl", wire.TTLKeep
		default:
			j := expireOption(args[i])
			if j < 0 || i+1 == len(args) || seen != "" && seen != expireOptions[j].name {
				return o, errSyntax
			}
			i++
			seen, o.when = expireOptions[j].name, args[i]
			o.unit, o.absolute = expireOptions[j].unit, expireOptions[j].absolute
		}
	}
	switch {
	case nx:
		o.refused = "NX"
	case xx:
		o.refused = "XX"
	case get:
		o.refused = "GET"
	}
	return o, ""
}

func expireOption(arg []byte) int {
	for j := range expireOptions {
		if equalFold(arg, expireOptions[j].name) {
			return j
		}
	}
	return -1
}

// apply puts the options into an operation.
func (o *setOptions) apply(op *wire.Op, command string, now int64) (errText string) {
	op.TTL = o.mode
	if o.when == nil {
		return ""
	}
	op.TTL, op.At, errText = expireArg(command, o.when, o.unit, o.absolute, now)
	if errText == "" && op.At <= 0 {
		errText = errExpireTime(command)
	}
	return errText
}

// parseExpireCondition reads the options of EXPIRE and its kin. They depend on the expiry the key has, which is refused;
// what Redis finds wrong with them is answered first.
func parseExpireCondition(command string, args [][]byte) (errText string) {
	var nx, xx, gt, lt bool
	first := ""
	for _, a := range args {
		name := ""
		switch {
		case equalFold(a, "nx"):
			nx, name = true, "NX"
		case equalFold(a, "xx"):
			xx, name = true, "XX"
		case equalFold(a, "gt"):
			gt, name = true, "GT"
		case equalFold(a, "lt"):
			lt, name = true, "LT"
		default:
			return "ERR Unsupported option " + string(clip(a, maxErrorArg))
		}
		if first == "" {
			first = name
		}
	}
	switch {
	case nx && (xx || gt || lt):
		return errNXvsXX
	case gt && lt:
		return errGTvsLT
	case first != "":
		return errUnsupported(command, first)
	}
	return ""
}
