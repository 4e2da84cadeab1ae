//go:build linux

package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

// process is a running server.
type process struct {
	name string
	addr string // of its clients
	log  string // a file
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// start runs a program with its output in a log file beside its folder. Callers must be on the main thread, which lives
// as long as this process: the kernel kills the server when the thread that started it ends.
func start(dir, name, addr, program string, args ...string) (*process, error) {
	logfile, err := os.Create(filepath.Join(dir, name+".log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = logfile.Close() }() // the server has its own descriptor
	p := &process{name: name, addr: addr, log: logfile.Name(), cmd: exec.Command(program, args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = logfile, logfile
	// An own process group: a ^C on the terminal is for this process only, which then ends the servers.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is in its log
		close(p.done)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// kill ends the process and what it started, and waits for it. Its data is thrown away, so there is nothing to drain.
func (p *process) kill() {
	_ = syscall.Kill(-p.pid(), syscall.SIGKILL) // it may have ended
	<-p.done
}

// check fails when the process has ended, with the end of its log.
func (p *process) check() error {
	select {
	case <-p.done:
	default:
		return nil
	}
	b, err := os.ReadFile(p.log)
	if err != nil {
		return fmt.Errorf("%s has ended: %w", p.name, err)
	}
	const tail = 2000
	return fmt.Errorf("%s has ended (%v):\n%s", p.name, p.cmd.ProcessState, bytes.TrimSpace(b[max(0, len(b)-tail):]))
}

// peerOffset is what redis-server adds to the client port for its bus; shoal does so by default, too.
const peerOffset = 10000

// ports hands out client ports whose peer ports are free as well. Both lie below the range that the kernel takes ports
// of outgoing connections from.
type ports struct{ next int }

func (p *ports) take() (int, error) {
	for range 1000 {
		port := p.next
		p.next++
		if free(port) && free(port+peerOffset) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free port below %d; set -port", p.next)
}

func free(port int) bool {
	l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}
