package engine

import (
	"errors"
	"io/fs"
)

// What is left when Open refuses for damage: the caller, who knows whether others hold copies of everything, may begin anew.

// Peek reads a small value (see Meta) of a store that is not open, nil when there is none.
func Peek(o Options, key string) ([]byte, error) {
	o.defaults()
	m, err := openMeta(o.FS, o.FS.PathJoin(o.Dir, "meta"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return m.values[key], m.damage[key]
}

// SetAside puts rows and log of a store that Open found unreadable under other names, in the place of what an earlier
// call put there. The small values stay: the next Open makes an empty store with them, for replicas that are to be filled.
// Durable before return.
func SetAside(o Options) error {
	o.defaults()
	for _, name := range []string{"rows", "log"} {
		from := o.FS.PathJoin(o.Dir, name)
		to := from + asideSuffix
		if err := o.FS.RemoveAll(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := o.FS.Rename(from, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return syncDir(o.FS, o.Dir)
}
