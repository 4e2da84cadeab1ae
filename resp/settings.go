package resp

import "sync/atomic"

// Defaults of Settings, as CONFIG GET shows them before anything was set.
const (
	DefaultMaxBulk     = 64 << 20  // proto-max-bulk-len, bytes
	DefaultQueryBuffer = 128 << 20 // client-query-buffer-limit, bytes
	DefaultMaxClients  = 10000     // maxclients

	DefaultClientMemory = 256 << 20 // maxmemory-clients, bytes
)

// Settings are the values that CONFIG SET may change while connections run. Everything is atomic.
type Settings struct {
	MaxBulk       atomic.Int64 // proto-max-bulk-len, bytes
	QueryBuffer   atomic.Int64 // client-query-buffer-limit, bytes
	MaxClients    atomic.Int64 // maxclients
	IdleTimeout   atomic.Int64 // timeout, seconds; 0: none
	ClientMemory  atomic.Int64 // maxmemory-clients, bytes held for all clients together; 0: no bound
	ProtectedMode atomic.Bool  // protected-mode

	password atomic.Pointer[string]
}

// NewSettings returns the defaults: protected mode on, no password.
func NewSettings() *Settings {
	s := &Settings{}
	s.MaxBulk.Store(DefaultMaxBulk)
	s.QueryBuffer.Store(DefaultQueryBuffer)
	s.MaxClients.Store(DefaultMaxClients)
	s.ClientMemory.Store(DefaultClientMemory)
	s.ProtectedMode.Store(true)
	return s
}

// Password is requirepass, "" for none.
func (s *Settings) Password() string {
	if p := s.password.Load(); p != nil {
		return *p
	}
	return ""
}

// SetPassword changes requirepass. Connections that are authenticated stay so, as in Redis.
func (s *Settings) SetPassword(p string) { s.password.Store(&p) }
