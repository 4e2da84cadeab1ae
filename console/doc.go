// Package console is what an operator's tools ask of a node over HTTP: /metrics, /healthz, /readyz, /status.json and
// Go's profiles under /debug/pprof/.
//
// It measures and decides nothing itself: the node gives it a status and a metrics registry. It changes nothing in
// the node; and it has no authentication, so it belongs on a loopback or otherwise closed address.
package console
