//go:build linux

package resp

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
	"testing"
	"time"
)

// BenchmarkIdle connects 9,900 clients (both ends take a descriptor, and 20,000 is a usual limit) that have each run a pipeline and then say nothing, and reports what one of
// them costs: resident memory, heap and stack, in bytes, and the processor's time in ns per second of idling. A client
// here is a bare descriptor, so that the memory is the server's (the kernel's for both sockets is not in it).
func BenchmarkIdle(b *testing.B) {
	const count = 9900
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	set := NewSettings()
	set.MaxClients.Store(count + 1)
	s := NewServer(Options{Backend: quickBackend{newNoteBackend()}, Commands: Commands(), Settings: set})
	go s.Serve(ln)
	defer s.Close(context.Background())
	request := benchPipeline("GET", 16, false)
	for range b.N {
		fds := make([]int, 0, count)
		before := memoryNow()
		for range count {
			fd, err := idleClient(ln.Addr().(*net.TCPAddr), request)
			if err != nil {
				b.Fatalf("after %d clients: %v (they need 20,000 descriptors)", len(fds), err)
			}
			fds = append(fds, fd)
		}
		after := memoryNow()
		cpu, begin := cpuTime(), time.Now()
		<-time.After(time.Second)
		b.ReportMetric(float64(cpuTime()-cpu)/time.Since(begin).Seconds(), "idle-cpu-ns/s")
		b.ReportMetric(float64(after.rss-before.rss)/count, "rss-B/conn")
		b.ReportMetric(float64(after.heap-before.heap)/count, "heap-B/conn")
		b.ReportMetric(float64(after.stack-before.stack)/count, "stack-B/conn")
		b.ReportMetric(0, "ns/op")
		for _, fd := range fds {
			syscall.Close(fd)
		}
		for s.ConnCount() > 0 {
			runtime.Gosched()
		}
	}
}

type memory struct{ rss, heap, stack int }

func memoryNow() (m memory) {
	debug.FreeOSMemory()
	debug.FreeOSMemory() // the first empties the pools into their victims only
	var ms runtime.MemStats
	runtime.ReadMemStats(&ms)
	m.heap, m.stack = int(ms.HeapAlloc), int(ms.StackInuse)
	f, err := os.Open("/proc/self/status")
	if err != nil {
		panic(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if _, err := fmt.Sscanf(lines.Text(), "VmRSS: %d kB", &m.rss); err == nil {
			m.rss <<= 10
			return m
		}
	}
	panic("no VmRSS")
}

// idleClient connects, sends the request and takes 16 replies of 128 bytes.
func idleClient(to *net.TCPAddr, request []byte) (int, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	addr := &syscall.SockaddrInet4{Port: to.Port, Addr: [4]byte(to.IP.To4())}
	if err := syscall.Connect(fd, addr); err != nil {
		return 0, err
	}
	if _, err := syscall.Write(fd, request); err != nil {
		return 0, err
	}
	var reply [4096]byte
	for want := 16 * (len("$128\r\n") + len(quickValue) + len("\r\n")); want > 0; {
		n, err := syscall.Read(fd, reply[:])
		if n <= 0 {
			return 0, fmt.Errorf("read: %d, %w", n, err)
		}
		want -= n
	}
	return fd, nil
}
