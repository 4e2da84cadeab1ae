// Package resp is the front door: what Redis clients say to a node and what they are told.
//
// A connection passes through these rooms, each in its own file:
//
//   - door: redcon runs the accept loop and never parses a client's byte: each connection shows it one constant
//     command, whose handler takes the connection over (takeover).
//   - guard: wraps the socket and frames requests before anything else sees them. Parsing is iterative and linear,
//     lengths are checked before memory is taken, and the limits and error texts are Redis's own. A connection that
//     waits for its client holds no buffer (query, readiness).
//   - dispatch: finds each command in the one command table and checks arity, authentication and readiness.
//   - Vector: gathers the operations of a whole pipeline. Operations on different keys run together in one
//     Backend.Exec, those on one key keep their order (equal reads share a result), and replies leave strictly in the
//     order of the commands. What all connections hold together is bounded (budget, admission).
//   - Writer: RESP2 and RESP3. It hands replies to the socket as they grow; while the socket does not take them, the
//     batch waits and nothing further is read or executed.
//
// The command table itself, its handlers and their texts are in table.go and the files named after commands.
//
// The package does not know how keys are stored or replicated: it declares the Backend it needs and speaks to it in
// wire.Op and wire.Result. It does not forward or redirect (the backend coordinates for any key), does not keep
// values, and opens no listener of its own: Serve takes one.
package resp
