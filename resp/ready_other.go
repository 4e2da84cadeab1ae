//go:build !unix

package resp

// readiness is not known here: connections keep their buffer while they wait.
type readiness struct{}

func newReadiness(*guard) *readiness { return nil }

func (*readiness) read(*guard) (int, error) { panic("resp: no readiness") }
