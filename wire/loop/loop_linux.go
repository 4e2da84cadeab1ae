package loop

import (
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// How much is done before a round ends: sockets that are looked at, and things that others posted, most of which are new
// connections. Without bounds those who connect without end would hold up the rest.
const (
	maxEvents = 128
	maxPosts  = 16
)

const edges = syscall.EPOLLIN | syscall.EPOLLOUT | syscall.EPOLLRDHUP | epollET

const epollET = 1 << 31

// Loop is the goroutine and what it waits for. Fields without a remark are its own.
type Loop struct {
	epoll    int // of all sockets
	wake     int // an eventfd among them, which ends a wait
	endRound func() (rest time.Duration)
	born     time.Time

	events  [maxEvents]syscall.EpollEvent
	posts   [maxPosts]func()
	slots   []*Conn // by what events carry
	free    []int32
	turns   []*Conn // tasks that gave way: they go on in the next round
	spare   []*Conn
	times   deadlines
	round   uint64
	tasks   int
	closing bool

	running atomic.Bool
	asleep  atomic.Bool // waiting, or about to: whoever has something new must wake it
	kicked  atomic.Bool // there is something new
	inbox   struct {
		sync.Mutex
		list []func()
	}
	done chan struct{}
}

// New makes a loop, which begins to run with the first connection. endRound is called by the loop at the end of each
// round, and says how long the loop may wait for something new before it is called again; negative: for ever. Nil: the
// system has no loops.
func New(endRound func() (rest time.Duration)) *Loop {
	return &Loop{endRound: endRound, born: time.Now(), done: make(chan struct{})}
}

// start runs the loop if it does not run yet, and reports false when there are no descriptors left for it.
func (l *Loop) start() bool {
	l.inbox.Lock()
	defer l.inbox.Unlock()
	if l.running.Load() {
		return true
	}
	ep, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return false
	}
	const nonBlockCloseExec = syscall.O_NONBLOCK | syscall.O_CLOEXEC
	wake, _, errno := syscall.RawSyscall(syscall.SYS_EVENTFD2, 0, nonBlockCloseExec, 0)
	if errno != 0 {
		_ = syscall.Close(ep)
		return false
	}
	l.epoll, l.wake = ep, int(wake)
	// With edges, each write to it is an event, and it need not be read.
	if l.watch(l.wake, -1) != nil {
		l.shut()
		return false
	}
	l.running.Store(true)
	go l.run()
	return true
}

// Running reports whether there are, or were, connections that the loop serves.
func (l *Loop) Running() bool { return l != nil && l.running.Load() }

// Close waits until every task has ended, which their owners must see to, and ends the loop. No connection may come
// any more.
func (l *Loop) Close() {
	if !l.Running() {
		return
	}
	l.post(func() { l.closing = true })
	<-l.done
	l.shut()
}

func (l *Loop) shut() {
	_ = syscall.Close(l.epoll)
	_ = syscall.Close(l.wake)
}

// Kick makes the loop end a round soon. Any goroutine may call it.
func (l *Loop) Kick() {
	l.kicked.Store(true)
	if l.asleep.CompareAndSwap(true, false) {
		one := uint64(1)
		syscall.RawSyscall(syscall.SYS_WRITE, uintptr(l.wake), uintptr(unsafe.Pointer(&one)), unsafe.Sizeof(one))
	}
}

// post has the loop call f soon.
func (l *Loop) post(f func()) {
	l.inbox.Lock()
	l.inbox.list = append(l.inbox.list, f)
	l.inbox.Unlock()
	l.Kick()
}

func (l *Loop) run() {
	defer close(l.done)
	rest := time.Duration(-1)
	for !l.closing || l.tasks > 0 {
		if len(l.turns) > 0 {
			rest = 0
		}
		n := l.poll(rest)
		l.round++
		if l.kicked.Load() && l.kicked.Swap(false) {
			l.takePosts()
		}
		l.takeTurns()
		for i := range l.events[:n] {
			e := &l.events[i]
			if e.Fd >= 0 && l.slots[e.Fd] != nil {
				l.slots[e.Fd].event(e.Events)
			}
		}
		l.expire()
		rest = l.endRound()
	}
}

// poll waits for events, but not longer than it is told.
func (l *Loop) poll(rest time.Duration) int {
	wait := l.patience(rest)
	if wait != 0 {
		l.asleep.Store(true)
		defer l.asleep.Store(false)
		if l.kicked.Load() {
			wait = 0
		}
	}
	if wait == 0 {
		// It does not block, so the scheduler need not know of it.
		n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(l.epoll), uintptr(unsafe.Pointer(&l.events[0])), maxEvents, 0, 0, 0)
		if errno != 0 {
			return 0
		}
		return int(n)
	}
	n, err := syscall.EpollWait(l.epoll, l.events[:], wait)
	if err != nil {
		return 0
	}
	return n
}

// patience is how long to wait, ms; -1: for ever.
func (l *Loop) patience(rest time.Duration) int {
	if at := l.times.first(); rest != 0 && at != 0 {
		if left := max(0, time.Duration(at-l.now())); rest < 0 || left < rest {
			rest = left
		}
	}
	if rest < 0 {
		return -1
	}
	return int((rest + time.Millisecond - 1) / time.Millisecond)
}

func (l *Loop) takePosts() {
	l.inbox.Lock()
	n := copy(l.posts[:], l.inbox.list)
	clear(l.inbox.list[:n])
	if l.inbox.list = l.inbox.list[n:]; len(l.inbox.list) > 0 {
		l.kicked.Store(true)
	} else {
		l.inbox.list = nil
	}
	l.inbox.Unlock()
	for i, f := range l.posts[:n] {
		l.posts[i] = nil
		f()
	}
}

func (l *Loop) takeTurns() {
	turns := l.turns
	l.turns = l.spare[:0]
	for _, c := range turns {
		c.goOn()
	}
	clear(turns)
	l.spare = turns
}

// now is the time since the loop was made, never 0.
func (l *Loop) now() int64 { return int64(time.Since(l.born)) + 1 }

func (l *Loop) watch(fd int, slot int32) error {
	return syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: edges, Fd: slot})
}

// add watches a connection from now on.
func (l *Loop) add(c *Conn) error {
	if len(l.free) == 0 {
		l.free = append(l.free, int32(len(l.slots)))
		l.slots = append(l.slots, nil)
	}
	c.slot = l.free[len(l.free)-1]
	err := c.hold(func(fd int) error { return l.watch(fd, c.slot) })
	if err != nil {
		return err
	}
	l.free = l.free[:len(l.free)-1]
	l.slots[c.slot] = c
	return nil
}

// drop forgets a connection whose task has ended.
func (l *Loop) drop(c *Conn) {
	_ = c.hold(func(fd int) error { return syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_DEL, fd, nil) })
	l.slots[c.slot] = nil
	l.free = append(l.free, c.slot)
}
