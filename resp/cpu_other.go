//go:build !unix

package resp

func cpuFields(*Server) []InfoField { return nil }
