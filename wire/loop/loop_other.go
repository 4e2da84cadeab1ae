//go:build !linux

package loop

import (
	"net"
	"time"
)

// Loop is not known here.
type Loop struct{}

// New returns nil: there is no loop.
func New(func() (rest time.Duration)) *Loop { return nil }

// Running reports false.
func (l *Loop) Running() bool { return false }

// Close does nothing.
func (l *Loop) Close() {}

// Kick does nothing.
func (l *Loop) Kick() {}

// Adopt returns nil: every socket stays as it is.
func (l *Loop) Adopt(net.Conn) *Conn { return nil }

// Conn does not exist here.
type Conn struct{ net.Conn }

func (c *Conn) Go(func())                    { panic("loop: none") }
func (c *Conn) Within() bool                 { return false }
func (c *Conn) Park()                        {}
func (c *Conn) Resume()                      {}
func (c *Conn) Yield()                       {}
func (c *Conn) Outside(f func())             { f() }
func (c *Conn) MayRead() bool                { return true }
func (c *Conn) WaitRead() error              { return nil }
func (c *Conn) TryRead([]byte) (int, error)  { panic("loop: none") }
func (c *Conn) TryWrite([]byte) (int, error) { panic("loop: none") }
func (c *Conn) Send([]byte) (int, error)     { panic("loop: none") }
