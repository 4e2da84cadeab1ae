package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// process is a program that is started, killed and started again with the same arguments.
type process struct {
	name, program string
	args          []string
	log           string // file that takes both outputs, of all runs

	cmd    *exec.Cmd
	exited chan struct{} // closed once this run has ended
	err    error         // how; to be read after exited
}

func (p *process) start() error {
	log, err := os.OpenFile(p.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	p.cmd = exec.Command(p.program, p.args...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = endWithParent()
	if err := p.cmd.Start(); err != nil {
		return err
	}
	p.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) {
		p.err = cmd.Wait()
		close(exited)
	}(p.cmd, p.exited)
	return nil
}

// signal sends a signal to a running process.
func (p *process) signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// kill ends the process with SIGKILL, if it runs, and waits until it is gone.
func (p *process) kill() {
	if p.cmd == nil || !p.running() {
		return
	}
	_ = p.signal(syscall.SIGKILL) // also when it has just ended by itself
	<-p.exited
}

func (p *process) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// exit says how the process ended.
func (p *process) exit() error {
	<-p.exited
	if p.err == nil {
		return errors.New("status 0")
	}
	return p.err
}

// rss is the resident memory in bytes, 0 when it cannot be read.
func (p *process) rss() int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, after, _ := bytes.Cut(status, []byte("VmRSS:"))
	var kib int64
	_, _ = fmt.Sscan(string(after), &kib)
	return kib << 10
}

// descriptors is how many files and sockets the process has open, 0 when it cannot be read.
func (p *process) descriptors() int {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	return len(entries)
}

// peakRSS watches the memory until stop is called, which gives the most that was seen, in bytes.
func (p *process) peakRSS() (stop func() int64) {
	done, peak := make(chan struct{}), make(chan int64)
	go func() {
		most := p.rss()
		for {
			select {
			case <-done:
				peak <- max(most, p.rss())
				return
			case <-time.After(10 * time.Millisecond):
				most = max(most, p.rss())
			}
		}
	}()
	return func() int64 {
		close(done)
		return <-peak
	}
}

// lastWords is the line of the log in which the last run says why it ended, else its last line.
func (p *process) lastWords() string {
	log, _ := os.ReadFile(p.log)
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if strings.HasPrefix(lines[i], "shoal: ") {
			return lines[i]
		}
	}
	return lines[len(lines)-1]
}

// panicLine is the first line of the log that tells of a panic, "" when there is none. A recovered one counts.
func (p *process) panicLine() string {
	log, err := os.Open(p.log)
	if err != nil {
		return ""
	}
	defer log.Close()
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		line := lines.Text()
		for _, sign := range []string{"panic", "fatal error", "goroutine stack exceeds"} {
			if strings.Contains(line, sign) {
				return line
			}
		}
	}
	return ""
}
