package main

import "context"

// scenarios are what is run by `chaos accept`.
var scenarios = map[string]func(context.Context, *house) error{}
