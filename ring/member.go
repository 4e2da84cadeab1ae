package ring

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Bounds of a map. They bound its encoding and the memory that a decoder may use.
const (
	MaxMembers  = 1024
	MaxN        = 16
	MaxWeight   = 1_000_000
	MaxName     = 64  // bytes of a name or a zone
	MaxAddress  = 255 // bytes of a host:port
	MaxMapBytes = 2 << 20
)

// Member is a node as the map lists it.
type Member struct {
	ID     NodeID
	Name   string // unique in the map; letters, digits and ._-
	Client string // host:port that clients are told
	Peer   string // host:port that other nodes dial
	Zone   string // failure domain; members without one share the zone ""
	Weight uint32 // share of the load relative to the others, 1..MaxWeight; Found and WithMember take 0 for 1
}

// Validate reports what makes the member unfit for a map, nil when it is fit.
func (m Member) Validate() error {
	switch {
	case m.ID == 0:
		return errors.New("the node id is zero")
	case m.Name == "" || !word(m.Name):
		return fmt.Errorf("name %q: want 1 to %d letters, digits or any of ._-", m.Name, MaxName)
	case !word(m.Zone):
		return fmt.Errorf("zone %q: want at most %d letters, digits or any of ._-", m.Zone, MaxName)
	case !address(m.Client):
		return fmt.Errorf("client address %q: want host:port", m.Client)
	case !address(m.Peer):
		return fmt.Errorf("peer address %q: want host:port", m.Peer)
	case m.Weight == 0 || m.Weight > MaxWeight:
		return fmt.Errorf("weight %d: want 1 to %d", m.Weight, MaxWeight)
	}
	return nil
}

// normal returns the member as it stands in a map.
func (m Member) normal() Member {
	if m.Weight == 0 {
		m.Weight = 1
	}
	return m
}

// word reports whether s is short and plain: names and zones appear unquoted in the replies of text commands.
func word(s string) bool {
	if len(s) > MaxName {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// address reports whether s is host:port, without the characters that delimit fields in CLUSTER NODES.
func address(s string) bool {
	if len(s) > MaxAddress {
		return false
	}
	colon := strings.LastIndexByte(s, ':')
	if colon <= 0 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == ',' || c == '@' || c == '"' || c == '\\' {
			return false
		}
	}
	port, err := strconv.ParseUint(s[colon+1:], 10, 16)
	return err == nil && port > 0
}
