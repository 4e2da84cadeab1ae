// Package arch holds the house rules as a test: who may import whom, what a pure package must not touch, and a few
// habits that a compiler does not check. The rules are the tables at the top of rules_test.go; check_test.go finds
// what breaks them; self_test.go breaks each of them once, on sources in memory, because a checker that cannot fail
// is worth nothing.
//
// It does not judge style beyond that (gofmt, vet and staticcheck do), it does not look into test files for purity or
// import order, and it knows only what the sources say: a pure package that calls an impure third-party function would
// pass, which is why the third-party packages of pure code are listed by name.
package arch
