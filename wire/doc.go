// Package wire is what nodes say to each other and its byte form: the vocabulary of operations and results (which
// the front door shares), the items that carry them, and frames, which are vectors of items.
//
// It opens no connection (that is wire/tcp), decides nothing, and never evaluates an operation.
package wire
