//go:build linux

package main

import (
	"fmt"
	"math/rand/v2"
)

type verb uint8

const (
	get verb = iota
	set
	mget
	mset
	wait
)

func (v verb) String() string { return [...]string{"GET", "SET", "MGET", "MSET", "WAIT"}[v] }

// requests writes commands. What they have in common is made once.
type requests struct {
	values *values
	rng    *rand.Rand
	multi  int // keys of one MGET or MSET
	parts  struct{ get, set, mget, mset, value, key string }
}

// waitOne waits until one replica has acknowledged what this connection wrote, at most 100 ms: what a client of Redis
// Cluster must do for a write to be on two machines when it is acknowledged.
const waitOne = "*3\r\n$4\r\nWAIT\r\n$1\r\n1\r\n$3\r\n100\r\n"

func newRequests(v *values, multi int, rng *rand.Rand) *requests {
	r := &requests{values: v, rng: rng, multi: multi}
	r.parts.key = fmt.Sprintf("$%d\r\n", keySize)
	r.parts.value = fmt.Sprintf("\r\n$%d\r\n", v.size)
	r.parts.get = "*2\r\n$3\r\nGET\r\n" + r.parts.key
	r.parts.set = "*3\r\n$3\r\nSET\r\n" + r.parts.key
	r.parts.mget = fmt.Sprintf("*%d\r\n$4\r\nMGET\r\n", multi+1)
	r.parts.mset = fmt.Sprintf("*%d\r\n$4\r\nMSET\r\n", 2*multi+1)
	return r
}

// append adds one command. keys has one key, or multi of them for mget and mset, or none for wait.
func (r *requests) append(b []byte, v verb, keys []uint32) []byte {
	switch v {
	case get:
		b = append(b, r.parts.get...)
		b = appendKey(b, keys[0])
	case set:
		b = append(b, r.parts.set...)
		b = appendKey(b, keys[0])
		b = append(b, r.parts.value...)
		b = r.values.append(b, keys[0], r.rng.Uint64())
	case wait:
		return append(b, waitOne...)
	case mget:
		b = append(b, r.parts.mget...)
		for i, key := range keys {
			if i > 0 {
				b = append(b, '\r', '\n')
			}
			b = append(b, r.parts.key...)
			b = appendKey(b, key)
		}
	case mset:
		b = append(b, r.parts.mset...)
		for i, key := range keys {
			if i > 0 {
				b = append(b, '\r', '\n')
			}
			b = append(b, r.parts.key...)
			b = appendKey(b, key)
			b = append(b, r.parts.value...)
			b = r.values.append(b, key, r.rng.Uint64())
		}
	}
	return append(b, '\r', '\n')
}
