package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// crowd runs f at once n times and joins what they return.
func crowd(n int, f func(i int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// calm only waits.
func calm(ctx context.Context, _ *arena) error {
	<-ctx.Done()
	return nil
}

// sayWords says every word whole and byte by byte, over and over, on four connections at a time.
func sayWords(ctx context.Context, a *arena) error {
	return crowd(4, func(i int) error {
		for turn := 0; ; turn++ {
			for j, w := range words {
				if turn == 0 && j%4 != i { // the first turn is shared, and finished whatever the time
					continue
				}
				if turn > 0 && ctx.Err() != nil {
					return nil
				}
				addr := a.target.addr
				if w.locked {
					addr = a.locked.addr
				}
				if err := errors.Join(checkWord(addr, w, false), checkWord(addr, w, turn%2 == 0)); err != nil {
					return err
				}
			}
		}
	})
}

// endlessInline sends text without a line end, as fast as it is taken. Each connection must be cut soon, with Redis's
// words.
func endlessInline(ctx context.Context, a *arena) error {
	const most = 32 << 20
	text := bytes.Repeat([]byte("a"), 64<<10)
	return crowd(4, func(int) error {
		for ctx.Err() == nil {
			conn, err := dial(a.target.addr)
			if err != nil {
				return err
			}
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			sent := 0
			for err == nil && sent < most {
				var n int
				n, err = conn.Write(text)
				sent += n
			}
			answer, _ := bufio.NewReader(conn).ReadString('\n') // a reset may have come before it
			_ = conn.Close()
			if sent >= most {
				return fmt.Errorf("the node took %d MiB without a line end", sent>>20)
			}
			if answer != "" && answer != "-ERR Protocol error: too big inline request\r\n" {
				return fmt.Errorf("answer %q", answer)
			}
		}
		return nil
	})
}

// trickle sends valid commands one byte at a time and reads the right answers, beside connections that trickle one
// large argument.
func trickle(ctx context.Context, a *arena) error {
	return crowd(16, func(i int) error {
		conn, err := dial(a.target.addr)
		if err != nil {
			return err
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(a.round + 10*time.Second))
		if i >= 8 {
			return trickleBulk(ctx, conn)
		}
		return trickleCommands(ctx, conn, i)
	})
}

func trickleCommands(ctx context.Context, conn net.Conn, i int) error {
	answers := bufio.NewReader(conn)
	for turn := 0; ctx.Err() == nil; turn++ {
		key, value := fmt.Sprintf("trickle:%d", i), fmt.Sprint(turn)
		request := append(command("SET", key, value), command("GET", key)...)
		for j := range request {
			if _, err := conn.Write(request[j : j+1]); err != nil {
				return err
			}
		}
		want := fmt.Sprintf("+OK\r\n$%d\r\n%s\r\n", len(value), value)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(answers, got); err != nil || string(got) != want {
			return fmt.Errorf("byte by byte: answer %q, want %q, %v", got, want, err)
		}
	}
	return nil
}

func trickleBulk(ctx context.Context, conn net.Conn) error {
	if _, err := conn.Write([]byte("*1\r\n$500000\r\n")); err != nil {
		return err
	}
	for sent := 0; ctx.Err() == nil && sent < 499_000; sent++ {
		if _, err := conn.Write([]byte("x")); err != nil {
			return err
		}
	}
	return nil
}

// halfOpen holds connections that began a request, announced much and send nothing more. They end with a reset.
func halfOpen(ctx context.Context, a *arena) error {
	beginnings := []string{
		"*", "*3", "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$67108864\r\nabc", "*1048576\r\n$3\r\nabc\r\n", "PIN", "*1\r\n$4\r\nPING", "\"",
		"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1048576\r\n" + strings.Repeat("x", 64<<10),
	}
	return crowd(500, func(i int) error {
		conn, err := dial(a.target.addr)
		if err != nil {
			return err
		}
		if _, err := conn.Write([]byte(beginnings[i%len(beginnings)])); err != nil {
			return err
		}
		<-ctx.Done()
		if i%2 == 0 {
			reset(conn)
		}
		return conn.Close()
	})
}

// reset makes Close cut the connection instead of ending it in good order.
func reset(conn net.Conn) { _ = conn.(*net.TCPConn).SetLinger(0) }

// manyArguments sends commands with as many arguments as one may have, over and over. They are unknown, so what they
// cost is their framing.
func manyArguments(ctx context.Context, a *arena) error {
	const most = 1 << 20
	request := append(fmt.Appendf(nil, "*%d\r\n$4\r\nmany\r\n", most), bytes.Repeat([]byte("$6\r\nabcdef\r\n"), most-1)...)
	return crowd(1, func(int) error {
		conn, err := dial(a.target.addr)
		if err != nil {
			return err
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(a.round + 20*time.Second))
		answers := bufio.NewReader(conn)
		for ctx.Err() == nil {
			if _, err := conn.Write(request); err != nil {
				return err
			}
			const want = "-ERR unknown command 'many', with args beginning with: 'abcdef' "
			if line, err := answers.ReadString('\n'); err != nil || !strings.HasPrefix(line, want) {
				return fmt.Errorf("a command of %d arguments: %q, %w", most, clip(line), err)
			}
		}
		return nil
	})
}

// manyKeys reads very many keys with one command, on two connections, over and over: legal, and as costly as a request
// gets.
func manyKeys(ctx context.Context, a *arena) error {
	const keys = 50_000
	var request bytes.Buffer
	fmt.Fprintf(&request, "*%d\r\n$4\r\nMGET\r\n", keys+1)
	for i := range keys {
		fmt.Fprintf(&request, "$6\r\n%06x\r\n", i)
	}
	return crowd(2, func(int) error {
		conn, err := dial(a.target.addr)
		if err != nil {
			return err
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(a.round + 20*time.Second))
		answers := bufio.NewReader(conn)
		for ctx.Err() == nil {
			if _, err := conn.Write(request.Bytes()); err != nil {
				return err
			}
			line, err := answers.ReadString('\n')
			if err != nil || line != fmt.Sprintf("*%d\r\n", keys) {
				return fmt.Errorf("MGET of %d keys: %q, %w", keys, clip(line), err)
			}
			if _, err := io.CopyN(io.Discard, answers, keys*int64(len("$-1\r\n"))); err != nil {
				return fmt.Errorf("MGET of %d keys: %w", keys, err)
			}
		}
		return nil
	})
}

// neverRead pipelines commands with short and with long answers and reads none.
func neverRead(ctx context.Context, a *arena) error {
	commands := [][]byte{command("PING"), command("INFO", "everything"), command("COMMAND", "DOCS"), command("CLUSTER", "NODES"),
		command("GET", "small:7"), []byte("x\r\n")}
	return crowd(24, func(i int) error {
		conn, err := dial(a.target.addr)
		if err != nil {
			return err
		}
		defer conn.Close()
		end, _ := ctx.Deadline()
		_ = conn.SetWriteDeadline(end)
		pipeline := bytes.Repeat(commands[i%len(commands)], 500)
		for err == nil {
			_, err = conn.Write(pipeline)
		}
		<-ctx.Done()
		return nil
	})
}

// connects opens and ends connections as fast as it can, in good order, with a reset or with half a word, beside 2000
// that stay.
func connects(ctx context.Context, a *arena) error {
	var idle []net.Conn
	defer func() {
		for _, conn := range idle {
			_ = conn.Close()
		}
	}()
	for range 2000 {
		conn, err := dial(a.target.addr)
		if err != nil {
			return err
		}
		idle = append(idle, conn)
	}
	var count atomic.Int64
	err := crowd(8, func(i int) error {
		for turn := i; ctx.Err() == nil; turn++ {
			conn, err := dial(a.target.addr)
			if err != nil {
				return err
			}
			if turn%3 == 0 {
				_, _ = conn.Write([]byte("*1\r\n$4\r\nPI"))
			}
			if turn%8 != 0 { // else the system would run out of ports that wait
				reset(conn)
			}
			_ = conn.Close()
			count.Add(1)
		}
		return nil
	})
	if err == nil && count.Load() < 1000 {
		return fmt.Errorf("only %d connects", count.Load())
	}
	return err
}

// tooMany opens more connections than the node wants to have. Those beyond are told so, in Redis's words, and the ones
// that were there go on.
func tooMany(ctx context.Context, a *arena) (err error) {
	const most = 300
	if err := a.target.client.ConfigSet(ctx, "maxclients", fmt.Sprint(most)).Err(); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, a.target.client.ConfigSet(context.WithoutCancel(ctx), "maxclients", "10000").Err())
	}()
	var refused atomic.Int64
	err = crowd(2*most, func(int) error {
		conn, err := dial(a.target.addr)
		if err != nil {
			return err
		}
		defer conn.Close()
		end, _ := ctx.Deadline()
		_ = conn.SetReadDeadline(end)
		answer, _ := io.ReadAll(io.LimitReader(conn, 1<<10))
		if len(answer) > 0 {
			refused.Add(1)
			if string(answer) != "-ERR max number of clients reached\r\n" {
				return fmt.Errorf("answer %q", answer)
			}
		}
		return nil
	})
	if err == nil && refused.Load() < most {
		return fmt.Errorf("%d of %d connections were refused, want at least %d", refused.Load(), 2*most, most)
	}
	return err
}

// peerGarbage sends noise and near misses to the peer port of every node: to gossip over UDP, and over TCP in each of
// the roles a connection may have.
func peerGarbage(ctx context.Context, a *arena) error {
	epoch := a.target.field(ctx, "ring", "ring_epoch")
	err := crowd(12, func(i int) error {
		r := rand.New(rand.NewPCG(uint64(i), 1))
		for ctx.Err() == nil {
			n := a.nodes[r.IntN(len(a.nodes))]
			if i < 3 {
				if err := udpGarbage(ctx, n.peer, r); err != nil {
					return err
				}
				continue
			}
			conn, err := dial(n.peer)
			if err != nil {
				return err
			}
			_, _ = conn.Write(tcpGarbage(r))
			if r.IntN(4) == 0 {
				_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
				_, _ = io.Copy(io.Discard, conn)
			}
			if r.IntN(8) != 0 {
				reset(conn)
			}
			_ = conn.Close()
		}
		return nil
	})
	if now := a.target.field(context.WithoutCancel(ctx), "ring", "ring_epoch"); err == nil && now != epoch {
		return fmt.Errorf("the ring map changed from epoch %d to %d", epoch, now)
	}
	return err
}

// udpGarbage sends a hundred packets.
func udpGarbage(ctx context.Context, addr string, r *rand.Rand) error {
	conn, err := net.Dial("udp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	for range 100 {
		packet := noise(r, r.IntN(1400)+1)
		if packet[0] > 200 { // the kinds of message that memberlist knows are small numbers
			packet[0] %= 16
		}
		if _, err := conn.Write(packet); err != nil && ctx.Err() == nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
	}
	time.Sleep(time.Millisecond)
	return nil
}

// tcpGarbage is noise, mostly after a byte or more that look right.
func tcpGarbage(r *rand.Rand) []byte {
	starts := []string{"", "P", "S", "G", "Pshl1", "Sshl1", "Pshl1\x00\x01", "Sshl1\x00\x01", "G\x00", "G\x06", "G\x07", "G\x09", "G\x0a", "G\x0c",
		"*1\r\n$4\r\nPING\r\n", "GET / HTTP/1.1\r\n\r\n", "G\x0a\xff\xff\xff\xff", "G\x06\xdf\xff\xff\xff\xff"}
	size := []int{0, 10, 77, 78, 500, 70_000}[r.IntN(6)]
	return append([]byte(starts[r.IntN(len(starts))]), noise(r, size)...)
}

func noise(r *rand.Rand, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// flood is 20 clients that each pipeline 100 GETs of 1 MiB and read nothing. Another client goes on all the while, and
// afterwards one of the 20 reads its answers after all.
func flood(ctx context.Context, a *arena) error {
	var pipeline []byte
	for i := range 100 {
		pipeline = append(pipeline, command("GET", fmt.Sprintf("bulky:%d", i%bulky))...)
	}
	conns := make([]net.Conn, 20)
	defer func() {
		for _, conn := range conns {
			if conn != nil {
				_ = conn.Close()
			}
		}
	}()
	for i := range conns {
		conn, err := dial(a.target.addr)
		if err != nil {
			return err
		}
		conns[i] = conn
		if _, err := conn.Write(pipeline); err != nil {
			return err
		}
	}
	for i := 0; ctx.Err() == nil; i++ {
		if err := a.target.client.Set(context.WithoutCancel(ctx), "beside", i, 0).Err(); err != nil {
			return fmt.Errorf("SET beside: %w", err)
		}
		if got, err := a.target.client.Get(context.WithoutCancel(ctx), fmt.Sprintf("bulky:%d", i%bulky)).Result(); err != nil || len(got) != bulk {
			return fmt.Errorf("GET beside: %d bytes, %w", len(got), err)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return readAfterAll(conns[0])
}

// readAfterAll takes the 100 answers that waited.
func readAfterAll(conn net.Conn) error {
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	answers := bufio.NewReaderSize(conn, 1<<16)
	for i := range 100 {
		head, err := answers.ReadString('\n')
		if err != nil || head != fmt.Sprintf("$%d\r\n", bulk) {
			return fmt.Errorf("answer %d of a client that reads late begins %q, %w", i, clip(head), err)
		}
		value := make([]byte, bulk+2)
		if _, err := io.ReadFull(answers, value); err != nil {
			return fmt.Errorf("answer %d of a client that reads late: %w", i, err)
		}
		if want := fmt.Sprintf("%08d", i%bulky); string(value[:8]) != want {
			return fmt.Errorf("answer %d of a client that reads late is of key %q", i, value[:8])
		}
	}
	return nil
}
