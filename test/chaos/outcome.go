package main

import (
	"errors"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
)

// outcome is what is known of a write.
type outcome byte

// The outcomes. The zero value is unknown, as a write is from when it is sent until it is answered.
const (
	unknown      outcome = iota // it may be applied or not, now or later
	acknowledged                // and says so
	refused                     // with an error that promises that nothing was written anywhere, or never sent
)

func (o outcome) String() string {
	return [...]string{"unknown", "acknowledged", "refused"}[o]
}

// refusals begin the errors that promise that nothing was written anywhere. -UNCERTAIN promises nothing.
var refusals = []string{"NOREPLICAS ", "CLUSTERDOWN ", "LOADING ", "TRYAGAIN ", "MISCONF "}

// outcomeOf reads an answer. Only what the server said can be a refusal, and a connection that was never made.
func outcomeOf(err error) outcome {
	if err == nil {
		return acknowledged
	}
	if answer, ok := errors.AsType[redis.Error](err); ok {
		for _, prefix := range refusals {
			if strings.HasPrefix(answer.Error(), prefix) {
				return refused
			}
		}
		return unknown
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return refused
	}
	return unknown
}

// score counts outcomes.
type score [3]int64

func (s score) total() int64 { return s[unknown] + s[acknowledged] + s[refused] }
