package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"
)

const (
	pingEvery    = 5 * time.Millisecond
	pingDeadline = 5 * time.Second
)

// latency is what PING saw of one address since it was last asked.
type latency struct {
	Count, Errors   int
	P50, P99, Worst time.Duration
	Text            string // of the first error
}

func (l latency) String() string {
	return fmt.Sprintf("p99 %s worst %s", ms(l.P99), ms(l.Worst))
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }

// summary sorts the samples and reads the figures off them.
func summary(samples []time.Duration) latency {
	if len(samples) == 0 {
		return latency{}
	}
	slices.Sort(samples)
	at := func(share float64) time.Duration { return samples[int(share*float64(len(samples)-1))] }
	return latency{Count: len(samples), P50: at(0.5), P99: at(0.99), Worst: samples[len(samples)-1]}
}

// probe is the process that sends PING to each address, at the same moments to all. Whenever it reads a line it prints
// what it saw since the last one. It ends with its input. It is a process of its own so that the work of an attacker
// is not measured as the node's.
func probe(addrs []string, in io.Reader, out io.Writer) error {
	pingers := make([]*pinger, len(addrs))
	for i, addr := range addrs {
		pingers[i] = &pinger{addr: addr}
		go pingers[i].run()
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		seen := make([]latency, len(pingers))
		for i, p := range pingers {
			seen[i] = p.take()
		}
		if err := json.NewEncoder(out).Encode(seen); err != nil {
			return err
		}
	}
	return nil
}

// pinger sends PING on one connection, one after the other and at best each pingEvery. A slow answer keeps it from
// sending those that others would have sent meanwhile, so it counts them as well: an answer after 12 ms is also one
// after 7 and one after 2. A stall is thus seen in its full length by all that would have fallen into it.
type pinger struct {
	addr string
	conn net.Conn

	mu      sync.Mutex
	asked   time.Time // when the PING under way was sent, zero: none is
	samples []time.Duration
	errors  int
	text    string
}

func (p *pinger) run() {
	for next := time.Now(); ; next = next.Add(pingEvery) {
		time.Sleep(time.Until(next))
		if now := time.Now(); now.Sub(next) > pingEvery {
			next = now // those left out are counted by note
		}
		p.mu.Lock()
		p.asked = time.Now()
		p.mu.Unlock()
		err := p.ping()
		p.mu.Lock()
		p.note(time.Since(p.asked))
		p.asked = time.Time{}
		if err != nil {
			p.errors++
			if p.text == "" {
				p.text = err.Error()
			}
		}
		p.mu.Unlock()
		if err != nil {
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// note takes the time of an answer and those of the ones it kept from being asked for.
func (p *pinger) note(took time.Duration) {
	for ; ; took -= pingEvery {
		p.samples = append(p.samples, took)
		if took <= pingEvery {
			return
		}
	}
}

func (p *pinger) ping() (err error) {
	if p.conn == nil {
		if p.conn, err = net.DialTimeout("tcp", p.addr, pingDeadline); err != nil {
			p.conn = nil
			return err
		}
	}
	defer func() {
		if err != nil {
			_ = p.conn.Close()
			p.conn = nil
		}
	}()
	if err := p.conn.SetDeadline(time.Now().Add(pingDeadline)); err != nil {
		return err
	}
	if _, err := p.conn.Write([]byte("*1\r\n$4\r\nPING\r\n")); err != nil {
		return err
	}
	var answer [7]byte
	if _, err := io.ReadFull(p.conn, answer[:]); err != nil {
		return err
	}
	if string(answer[:]) != "+PONG\r\n" {
		return fmt.Errorf("PING answers %q", answer)
	}
	return nil
}

// take returns what was seen since the last time, a PING that is not answered yet included.
func (p *pinger) take() latency {
	p.mu.Lock()
	defer p.mu.Unlock()
	if waited := time.Since(p.asked); !p.asked.IsZero() && waited > pingEvery {
		p.note(waited)
	}
	l := summary(p.samples)
	l.Errors, l.Text = p.errors, p.text
	p.samples, p.errors, p.text = p.samples[:0], 0, ""
	return l
}

// watcher is the probe process as its parent sees it.
type watcher struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

// watch starts a probe of the addresses.
func watch(addrs ...string) (*watcher, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	w := &watcher{cmd: exec.Command(self, append([]string{"probe"}, addrs...)...)}
	w.cmd.Stderr, w.cmd.SysProcAttr = os.Stderr, endWithParent()
	in, errIn := w.cmd.StdinPipe()
	out, errOut := w.cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut); err != nil {
		return nil, err
	}
	w.in, w.out = in, json.NewDecoder(out)
	return w, w.cmd.Start()
}

// take returns, per address, what was seen since the last call.
func (w *watcher) take() (seen []latency, err error) {
	if _, err := w.in.Write([]byte("\n")); err != nil {
		return nil, err
	}
	return seen, w.out.Decode(&seen)
}

func (w *watcher) close() {
	_ = w.in.Close() // the probe ends with its input
	_ = w.cmd.Wait()
}
