package engine

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Meta returns the value under a name of the small keyspace for identity, map and acceptor state; nil when there is
// none. Safe beside the single caller.
func (s *Store) Meta(key string) ([]byte, error) {
	payload, err := s.load(appendMeta(nil, key))
	if err != nil {
		return nil, fmt.Errorf("meta %q: %w", key, err)
	}
	return payload, nil
}

// SetMeta stores the value and fsyncs it before it returns, whatever the durability. Safe beside the single caller.
func (s *Store) SetMeta(key string, value []byte) error {
	if err := s.writable(); err != nil {
		return err
	}
	name := appendMeta(nil, key)
	b := append(make([]byte, sealSize, sealSize+len(value)), value...)
	seal(name, b)
	if err := s.db.Set(name, b, pebble.Sync); err != nil {
		s.fatal(err)
		return err
	}
	return s.Sync()
}

// load returns a copy of the payload stored under a name, nil when there is none. An empty payload is not nil.
func (s *Store) load(name []byte) ([]byte, error) {
	if s.closed {
		return nil, errClosed
	}
	v, closer, err := s.db.Get(name)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, unreadable(err)
	}
	payload, err := unseal(name, v)
	if err != nil {
		s.stats.unreadable.Add(1)
	} else {
		payload = append(make([]byte, 0, max(len(payload), 1)), payload...)
	}
	if cerr := closer.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, err
	}
	return payload, nil
}

// unreadable marks errors of Pebble that mean damaged bytes.
func unreadable(err error) error {
	if corrupt(err) {
		return fmt.Errorf("engine: %w: %w", ErrUnreadable, err)
	}
	return fmt.Errorf("engine: %w", err)
}
