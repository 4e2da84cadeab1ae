package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/redis/go-redis/v9"
)

// outcome is what is known of one key's SET in one round.
type outcome byte

// The outcomes, as bytes of a book. A book is a file with one byte per key, in the order of the data set.
const (
	untried      outcome = '-' // never sent
	acknowledged outcome = 'a' // +OK
	refused      outcome = 'r' // an error that promises that nothing was written anywhere
	unknown      outcome = 'u' // any other error: it may be written or not, now or later
)

// refusals begin the errors that promise that nothing was written anywhere. -UNCERTAIN promises nothing.
var refusals = []string{"NOREPLICAS ", "CLUSTERDOWN ", "LOADING ", "TRYAGAIN "}

// outcomeOf reads an answer. Only an error that the server sent can be a refusal.
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
	}
	return unknown
}

// history is the outcome of each round for one key: history[0] is round 1.
type history []outcome

// accepts reports whether a key may read as the value of this round (0: there is no such key). It may if the round is
// the last acknowledged one, or a later one with unknown outcome. Without any acknowledgement it may also be missing.
func (h history) accepts(round int) bool {
	for r := len(h); r >= 1; r-- {
		if h[r-1] == acknowledged {
			return round == r
		}
		if h[r-1] == unknown && round == r {
			return true
		}
	}
	return round == 0
}

// readHistories joins the books into one history per key. Round 1 has no book: redis-cli --pipe loaded it, and its
// caller has seen that every reply was OK.
func readHistories(books []string, keys int) ([]history, error) {
	histories := make([]history, keys)
	for i := range histories {
		histories[i] = history{acknowledged}
	}
	for _, name := range books {
		book, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if len(book) != keys {
			return nil, fmt.Errorf("%s has %d entries for %d keys", name, len(book), keys)
		}
		for i, b := range book {
			histories[i] = append(histories[i], outcome(b))
		}
	}
	return histories, nil
}
