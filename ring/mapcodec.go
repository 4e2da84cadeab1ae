package ring

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// mapFormat is the first byte of an encoded map.
const mapFormat = 1

// Append appends the map's canonical encoding: equal maps have equal bytes. All integers are big-endian. The layout is
// format u8, cluster 16, epoch u64, context key 32, n u8, q u16, step u8, members u16, per member {id u64, weight u32,
// name, client, peer, zone: length u8 and bytes}, per partition and owner the member's index u16. At most MaxMapBytes.
func (m *Map) Append(b []byte) []byte {
	b = append(b, mapFormat)
	b = append(b, m.Cluster[:]...)
	b = binary.BigEndian.AppendUint64(b, m.Epoch)
	b = append(b, m.ContextKey[:]...)
	b = append(b, uint8(m.N))
	b = binary.BigEndian.AppendUint16(b, uint16(m.Q))
	b = append(b, m.Step)
	b = binary.BigEndian.AppendUint16(b, uint16(len(m.Members)))
	for _, x := range m.Members {
		b = binary.BigEndian.AppendUint64(b, uint64(x.ID))
		b = binary.BigEndian.AppendUint32(b, x.Weight)
		for _, s := range []string{x.Name, x.Client, x.Peer, x.Zone} {
			b = appendStr(b, s)
		}
	}
	for _, list := range m.Owners {
		for _, id := range list {
			i, _ := m.search(id)
			b = binary.BigEndian.AppendUint16(b, uint16(i))
		}
	}
	return b
}

// DecodeMap is the inverse of Append. It takes any bytes, keeps no reference to them, and returns only maps that hold
// everything that Map promises; the error wraps ErrDamaged.
func DecodeMap(b []byte) (*Map, error) {
	if len(b) > MaxMapBytes {
		return nil, fmt.Errorf("%w: a map of %d bytes", ErrDamaged, len(b))
	}
	r := &reader{b: b}
	if f := r.u8(); f != mapFormat {
		return nil, fmt.Errorf("%w: map format %d, this version knows %d", ErrDamaged, f, mapFormat)
	}
	m := &Map{}
	copy(m.Cluster[:], r.take(len(m.Cluster)))
	m.Epoch = r.u64()
	copy(m.ContextKey[:], r.take(len(m.ContextKey)))
	m.N, m.Q, m.Step = int(r.u8()), int(r.u16()), r.u8()
	m.Members = r.members()
	if r.bad {
		return nil, fmt.Errorf("%w: map cut short", ErrDamaged)
	}
	if err := m.validateHead(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	m.Owners = r.owners(m)
	if !r.done() {
		return nil, fmt.Errorf("%w: map of wrong length", ErrDamaged)
	}
	if err := m.validateOwners(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return m, nil
}

func (r *reader) members() []Member {
	n := int(r.u16())
	if n == 0 || n > MaxMembers {
		r.bad = true
		return nil
	}
	var out []Member
	for i := 0; i < n && !r.bad; i++ {
		out = append(out, Member{
			ID: NodeID(r.u64()), Weight: r.u32(),
			Name: r.str(), Client: r.str(), Peer: r.str(), Zone: r.str(),
		})
	}
	return out
}

// owners reads the lists of a map whose head is valid, all of them cut from one array.
func (r *reader) owners(m *Map) [][]NodeID {
	width := min(m.N, len(m.Members))
	if len(r.b) != m.Q*width*2 {
		r.bad = true
		return nil
	}
	all := make([]NodeID, m.Q*width)
	for i := range all {
		x := int(r.u16())
		if x >= len(m.Members) {
			r.bad = true
			return nil
		}
		all[i] = m.Members[x].ID
	}
	return slices.Collect(slices.Chunk(all, width))
}

func (m *Map) validate() error {
	if err := m.validateHead(); err != nil {
		return err
	}
	return m.validateOwners()
}

// validateHead checks everything but the owners.
func (m *Map) validateHead() error {
	if err := ValidateShape(m.N, m.Q); err != nil {
		return err
	}
	switch {
	case m.Cluster == ClusterID{}:
		return errors.New("ring: the cluster id is zero")
	case m.Epoch == 0 || m.Epoch+1 == 0:
		return fmt.Errorf("ring: epoch %d", m.Epoch)
	case m.Step != 0 || m.Pending != nil:
		return errors.New("ring: a move, which this version does not know")
	case len(m.Members) == 0 || len(m.Members) > MaxMembers:
		return fmt.Errorf("ring: %d members", len(m.Members))
	}
	names := make(map[string]bool, len(m.Members))
	for i, x := range m.Members {
		if err := x.Validate(); err != nil {
			return fmt.Errorf("%w: %w", ErrBadMember, err)
		}
		if i > 0 && m.Members[i-1].ID >= x.ID {
			return errors.New("ring: members out of order")
		}
		if names[x.Name] {
			return fmt.Errorf("%w: %q", ErrKnownName, x.Name)
		}
		names[x.Name] = true
	}
	return nil
}

// validateOwners checks that every partition has min(N, members) distinct owners, all of them members.
func (m *Map) validateOwners() error {
	if len(m.Owners) != m.Q {
		return fmt.Errorf("ring: owners of %d partitions instead of %d", len(m.Owners), m.Q)
	}
	for p, list := range m.Owners {
		if len(list) != min(m.N, len(m.Members)) {
			return fmt.Errorf("ring: partition %d has %d owners", p, len(list))
		}
		for i, id := range list {
			if _, ok := m.search(id); !ok || slices.Contains(list[:i], id) {
				return fmt.Errorf("ring: partition %d lists %v twice or lists a stranger", p, id)
			}
		}
	}
	return nil
}
