package resp

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// parameter is one name of CONFIG GET with its present value. set is nil for a value that cannot change at run time.
type parameter struct {
	name, value string
	set         setter
}

// setter checks a new value and returns how to put it into force, or the reason why not in Redis's words.
type setter func(s *Settings, value string) (change func(), reason string)

type parameterList []parameter

// fixedParameters are the values that hold for every shoal. Clients and tools read them at connect; the ones that
// describe Redis's encodings of collections are there because test harnesses save and restore them.
var fixedParameters = []struct{ name, value string }{
	{"activedefrag", "no"},
	{"appendfsync", "everysec"},
	{"appendonly", "yes"},
	{"bind", "* -::*"},
	{"cluster-enabled", "yes"},
	{"cluster-require-full-coverage", "no"},
	{"databases", "1"},
	{"dir", ""},
	{"hash-max-listpack-entries", "512"},
	{"hash-max-listpack-value", "64"},
	{"hash-max-ziplist-entries", "512"},
	{"hash-max-ziplist-value", "64"},
	{"io-threads", "1"},
	{"list-compress-depth", "0"},
	{"list-max-listpack-size", "-2"},
	{"list-max-ziplist-size", "-2"},
	{"maxmemory", "0"},
	{"maxmemory-policy", "noeviction"},
	{"maxmemory-samples", "5"},
	{"min-replicas-to-write", "0"},
	{"notify-keyspace-events", ""},
	{"port", "0"},
	{"replica-read-only", "no"},
	{"save", ""},
	{"set-max-intset-entries", "512"},
	{"slave-read-only", "no"},
	{"slowlog-log-slower-than", "-1"},
	{"slowlog-max-len", "0"},
	{"tcp-keepalive", "0"},
	{"zset-max-listpack-entries", "128"},
	{"zset-max-listpack-value", "64"},
	{"zset-max-ziplist-entries", "128"},
	{"zset-max-ziplist-value", "64"},
}

// parameters lists every known parameter by name. The backend's Info("config") gives the values that the node owns
// (appendfsync, dir, port and the like): they replace fixed ones and may add names.
func parameters(s *Settings, b Backend) parameterList {
	list := parameterList{
		{"client-query-buffer-limit", strconv.FormatInt(s.QueryBuffer.Load(), 10), setBytes(1<<20, 4<<30, s.QueryBuffer.Store)},
		{"maxclients", strconv.FormatInt(s.MaxClients.Load(), 10), setNumber(1, math.MaxUint32, s.MaxClients.Store)},
		{"maxmemory-clients", strconv.FormatInt(s.ClientMemory.Load(), 10), setBytes(0, math.MaxInt64, s.ClientMemory.Store)},
		{"proto-max-bulk-len", strconv.FormatInt(s.MaxBulk.Load(), 10), setBytes(1<<20, 512<<20, s.MaxBulk.Store)},
		{"protected-mode", yesNo(s.ProtectedMode.Load()), setYesNo(s.ProtectedMode.Store)},
		{"requirepass", s.Password(), setPassword},
		{"timeout", strconv.FormatInt(s.IdleTimeout.Load(), 10), setNumber(0, math.MaxInt32, s.IdleTimeout.Store)},
	}
	for _, p := range fixedParameters {
		list = append(list, parameter{name: p.name, value: p.value})
	}
	for _, f := range b.Info("config") {
		if i := list.index(f.Name); i < 0 {
			list = append(list, parameter{name: f.Name, value: f.Value})
		} else if list[i].set == nil {
			list[i].value = f.Value
		}
	}
	slices.SortFunc(list, func(a, b parameter) int { return strings.Compare(a.name, b.name) })
	return list
}

func (l parameterList) index(name string) int {
	return slices.IndexFunc(l, func(p parameter) bool { return p.name == name })
}

func (l parameterList) find(name string) (parameter, bool) {
	i := l.index(name)
	if i < 0 {
		return parameter{}, false
	}
	return l[i], true
}

// change checks a new value. A parameter that cannot change takes the value it has, and refuses any other: an OK to a
// setting without effect would be a lie that somebody builds on.
func (p *parameter) change(s *Settings, value string) (change func(), reason string) {
	if p.set != nil {
		return p.set(s, value)
	}
	if sameValue(p.value, value) {
		return func() {}, ""
	}
	return nil, "can't set immutable config"
}

// sameValue compares the way Redis reads values: words in any case, sizes with their unit.
func sameValue(have, want string) bool {
	if strings.EqualFold(have, want) {
		return true
	}
	n, ok := parseBytes(want)
	return ok && strconv.FormatInt(n, 10) == have
}

func setNumber(least, most int64, store func(int64)) setter {
	return func(_ *Settings, value string) (func(), string) {
		n, ok := parseInt([]byte(value))
		if !ok {
			return nil, "argument couldn't be parsed into an integer"
		}
		return inRange(n, least, most, store)
	}
}

func setBytes(least, most int64, store func(int64)) setter {
	return func(_ *Settings, value string) (func(), string) {
		n, ok := parseBytes(value)
		if !ok {
			return nil, "argument must be a memory value"
		}
		return inRange(n, least, most, store)
	}
}

func inRange(n, least, most int64, store func(int64)) (func(), string) {
	if n < least || n > most {
		return nil, "argument must be between " + strconv.FormatInt(least, 10) + " and " +
			strconv.FormatInt(most, 10) + " inclusive"
	}
	return func() { store(n) }, ""
}

func setYesNo(store func(bool)) setter {
	return func(_ *Settings, value string) (func(), string) {
		yes := strings.EqualFold(value, "yes")
		if !yes && !strings.EqualFold(value, "no") {
			return nil, "argument must be 'yes' or 'no'"
		}
		return func() { store(yes) }, ""
	}
}

func setPassword(s *Settings, value string) (func(), string) {
	return func() { s.SetPassword(value) }, ""
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// byteUnits are Redis's: k is 1000, kb is 1024. Longer names come first, since b ends most of them.
var byteUnits = []struct {
	name string
	size int64
}{
	{"kb", 1 << 10}, {"mb", 1 << 20}, {"gb", 1 << 30},
	{"k", 1e3}, {"m", 1e6}, {"g", 1e9},
	{"b", 1},
}

// parseBytes reads a size such as 64mb.
func parseBytes(value string) (int64, bool) {
	value = strings.ToLower(value)
	size := int64(1)
	for _, u := range byteUnits {
		if rest, ok := strings.CutSuffix(value, u.name); ok {
			value, size = rest, u.size
			break
		}
	}
	n, ok := parseInt([]byte(value))
	if !ok || n < 0 || n > math.MaxInt64/size {
		return 0, false
	}
	return n * size, true
}
