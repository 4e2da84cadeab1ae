package engine

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// metaFiles keeps a few small values, each in a file of its own that is replaced as a whole: identity, map, acceptor
// state. They are written seldom and must be on the disk at once, also while the log is busy or full.
type metaFiles struct {
	fs   vfs.FS
	dir  string
	turn chan struct{} // held by who writes

	mu     sync.Mutex
	values map[string][]byte
	damage map[string]error
}

const metaSuffix = ".meta"

func openMeta(disk vfs.FS, dir string) (*metaFiles, error) {
	m := &metaFiles{fs: disk, dir: dir, turn: make(chan struct{}, 1), values: map[string][]byte{}, damage: map[string]error{}}
	names, err := disk.List(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		digits, ok := strings.CutSuffix(name, metaSuffix)
		key, err := hex.DecodeString(digits)
		if !ok || err != nil {
			continue
		}
		if err := m.read(string(key), name); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metaFiles) read(key, name string) error {
	f, err := m.fs.Open(m.fs.PathJoin(m.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	b, err := io.ReadAll(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if b, err = unseal(appendMeta(nil, key), b); err != nil {
		m.damage[key] = err
		return nil
	}
	m.values[key] = b
	return nil
}

func (m *metaFiles) write(key string, value []byte) error {
	m.turn <- struct{}{}
	defer func() { <-m.turn }()
	b := append(make([]byte, sealSize, sealSize+len(value)), value...)
	seal(appendMeta(nil, key), b)
	if err := replaceFile(m.fs, m.dir, hex.EncodeToString([]byte(key))+metaSuffix, b); err != nil {
		return err
	}
	m.mu.Lock()
	m.values[key] = b[sealSize:]
	delete(m.damage, key)
	m.mu.Unlock()
	return nil
}

// Meta returns the value under a name of the small keyspace for identity, map and acceptor state; nil when there is
// none. Safe beside the single caller. The value must not be changed.
func (s *Store) Meta(key string) ([]byte, error) {
	s.meta.mu.Lock()
	v, err := s.meta.values[key], s.meta.damage[key]
	s.meta.mu.Unlock()
	if err != nil {
		s.stats.unreadable.Add(1)
		return nil, fmt.Errorf("meta %q: %w", key, err)
	}
	return v, nil
}

// SetMeta stores the value and fsyncs it before it returns, whatever the durability. Safe beside the single caller.
func (s *Store) SetMeta(key string, value []byte) error {
	if err := s.failure(); err != nil {
		return err
	}
	if err := s.meta.write(key, value); err != nil {
		return fmt.Errorf("engine: meta %q: %w", key, err)
	}
	return s.failure()
}
