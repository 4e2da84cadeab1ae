package loop

import "container/heap"

// deadlines are the times at which a task that waits must be looked at. A connection has one that counts (its alarm);
// moving a deadline back leaves it, and the task is looked at too early for once.
type deadlines []alarm

type alarm struct {
	at int64 // on the loop's clock
	c  *Conn
}

func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(i, j int) bool { return d[i].at < d[j].at }
func (d deadlines) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }
func (d *deadlines) Push(x any)        { *d = append(*d, x.(alarm)) }
func (d *deadlines) Pop() any {
	last := (*d)[len(*d)-1]
	(*d)[len(*d)-1] = alarm{}
	*d = (*d)[:len(*d)-1]
	return last
}

// first is the next time, 0 when there is none.
func (d deadlines) first() int64 {
	if len(d) == 0 {
		return 0
	}
	return d[0].at
}

// remind has the connection looked at when at has come.
func (d *deadlines) remind(c *Conn, at int64) {
	if c.alarm != 0 && c.alarm <= at {
		return
	}
	c.alarm = at
	heap.Push(d, alarm{at, c})
}

// expire ends the waits whose time is over.
func (l *Loop) expire() {
	if len(l.times) == 0 {
		return
	}
	for now := l.now(); len(l.times) > 0 && l.times[0].at <= now; {
		a := heap.Pop(&l.times).(alarm)
		if a.c.alarm != a.at {
			continue // an earlier one was set later, and has rung
		}
		a.c.alarm = 0
		a.c.check()
	}
}
