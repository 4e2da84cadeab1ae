package resp

import (
	"math"

	"shoal/wire"
)

func expiryCommands() []*Command {
	const read, write = FlagReadonly | FlagFast, FlagWrite | FlagFast
	key := func(name string, arity int, flags Flags, plan func(*Conn, [][]byte, *Vector) (Reply, string)) *Command {
		return &Command{Name: name, Arity: arity, Flags: flags, FirstKey: 1, LastKey: 1, KeyStep: 1, Plan: plan}
	}
	return []*Command{
		key("expire", -3, write, planExpire("expire", inSeconds, false)),
		key("pexpire", -3, write, planExpire("pexpire", inMillis, false)),
		key("expireat", -3, write, planExpire("expireat", inSeconds, true)),
		key("pexpireat", -3, write, planExpire("pexpireat", inMillis, true)),
		key("ttl", 2, read, planTTL(inSeconds)),
		key("pttl", 2, read, planTTL(inMillis)),
		key("expiretime", 2, read, planRead(wire.OpExpiry, replyExpiry(inSeconds))),
		key("pexpiretime", 2, read, planRead(wire.OpExpiry, replyExpiry(inMillis))),
		key("persist", 2, write, planPersist),
	}
}

func planExpire(name string, unit timeUnit, absolute bool) func(*Conn, [][]byte, *Vector) (Reply, string) {
	return func(c *Conn, args [][]byte, v *Vector) (Reply, string) {
		condition := ""
		if len(args) > 3 {
			if condition = parseExpireCondition(name, args[3:]); condition != "" {
				return nil, condition
			}
		}
		mode, at, errText := expireArg(name, args[2], unit, absolute, c.Now().UnixMilli())
		if errText != "" {
			return nil, errText
		}
		v.Add(expireOp(args[1], mode, at))
		return replyInt, ""
	}
}

// expireOp makes the operation. An expiry that has passed deletes the key, as in Redis, and it really is a DEL here:
// an absolute time of 0 would read as "no expiry", and a tombstone is reaped sooner than an expired version.
func expireOp(key []byte, mode wire.TTL, at int64) wire.Op {
	if at <= 0 {
		return wire.Op{Code: wire.OpDel, Key: key}
	}
	return wire.Op{Code: wire.OpExpire, Key: key, TTL: mode, At: at}
}

func planPersist(_ *Conn, args [][]byte, v *Vector) (Reply, string) {
	v.Add(wire.Op{Code: wire.OpPersist, Key: args[1]})
	return replyInt, ""
}

// planTTL answers what is left of an expiry by the coordinator's clock: this node's may be one that nobody goes by.
func planTTL(unit timeUnit) func(*Conn, [][]byte, *Vector) (Reply, string) {
	return func(c *Conn, args [][]byte, v *Vector) (Reply, string) {
		v.Add(wire.Op{Code: wire.OpExpiry, TTL: wire.TTLRelative, Key: args[1], ReadOne: c.ReadOnly()})
		return replyExpiry(unit), ""
	}
}

func replyExpiry(unit timeUnit) Reply {
	return func(w *Writer, _ []wire.Op, res []wire.Result) {
		if failed(w, res) {
			return
		}
		at := res[0].Int
		if at == wire.ExpiryNone || at == wire.ExpiryMissing {
			w.Int(at)
			return
		}
		w.Int(rounded(at, unit))
	}
}

// rounded turns ms into the unit, to the nearest as Redis does.
func rounded(ms int64, unit timeUnit) int64 {
	half := int64(unit) / 2
	if ms > math.MaxInt64-half {
		return ms / int64(unit)
	}
	return (ms + half) / int64(unit)
}
