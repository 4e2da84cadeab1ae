package engine

// String is the name that operators use, Redis's appendfsync.
func (d Durability) String() string {
	switch d {
	case Always:
		return "always"
	case No:
		return "no"
	}
	return "everysec"
}
