package engine

// Recycle says that what Row and Get returned since the last Recycle is no longer in use: the slices of versions and
// the vectors of those containers, also where another container was made of them. Payload bytes stay valid; so do rows
// of Scan. The single caller says it after each tick, and then rows are read without an allocation; it may as well
// never say it, and the collector does the work.
//
// A build with the tag poison overwrites those containers, so that tests find who still uses one.
func (s *Store) Recycle() {
	if poison {
		s.arena.Poison()
		return
	}
	s.arena.Reset()
}
