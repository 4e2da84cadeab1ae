//go:build unix

package resp

import (
	"fmt"
	"syscall"
)

// cpuFields are the CPU seconds of this process and of its ended children.
func cpuFields(*Server) []InfoField {
	var fields []InfoField
	for _, who := range []struct {
		id     int
		suffix string
	}{{syscall.RUSAGE_SELF, ""}, {syscall.RUSAGE_CHILDREN, "_children"}} {
		var u syscall.Rusage
		if syscall.Getrusage(who.id, &u) != nil {
			continue
		}
		fields = append(fields,
			InfoField{"used_cpu_sys" + who.suffix, timevalSeconds(u.Stime)},
			InfoField{"used_cpu_user" + who.suffix, timevalSeconds(u.Utime)})
	}
	return fields
}

func timevalSeconds(t syscall.Timeval) string {
	return fmt.Sprintf("%d.%06d", int64(t.Sec), int64(t.Usec))
}
