//go:build !linux

package main

// putBack cannot tell here: see --restored.
func putBack(string) (bool, error) { return false, nil }

func markOrigin(string, string) error { return nil }

const originFile = "origin"
