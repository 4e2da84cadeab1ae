package engine

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// victim is the process that is killed: it writes and prints a number for each tick that has ended.
func victim(dir string) {
	s, err := Open(Options{Dir: dir, Durability: EverySec, MachineBoot: "m"})
	if err == nil && s.Replica(0) == nil {
		err = s.Create(0)
	}
	for i := 0; err == nil; i++ {
		key := fmt.Sprint("key", i)
		set(panicTB{}, s, 0, key, strings.Repeat("v", i%3000), 0)
		if err = s.EndTick(); err == nil {
			fmt.Println(key)
		}
	}
	fmt.Println("error", err)
}

type panicTB struct{ testing.TB }

func (panicTB) Helper()           {}
func (panicTB) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

func TestAKilledProcessLosesNothingItAcknowledged(t *testing.T) {
	dir := t.TempDir()
	for _, least := range []int{1, 40, 9000} { // the last crosses a change of the log file
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "ENGINE_TEST_VICTIM="+dir)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		stop := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
		acked := 0
		for lines := bufio.NewScanner(out); lines.Scan(); acked++ {
			if strings.HasPrefix(lines.Text(), "error") {
				t.Fatal(lines.Text())
			}
			if acked == least {
				_ = cmd.Process.Kill() // SIGKILL; lines already written still count
			}
		}
		_ = cmd.Wait()
		stop.Stop()
		s := mustOpen(t, Options{Dir: dir, Durability: EverySec, MachineBoot: "m"})
		if s.TailMayBeLost() { // the kill tore a write that was not acknowledged; Open cannot tell it from damage
			t.Log("an unfinished tail was cut: the store asks to be compared with others")
			must(t, s.TailRestored())
		}
		for i := range acked {
			if got := get(t, s, 0, fmt.Sprint("key", i), 0); len(got) != i%3000 {
				t.Fatalf("of %d acknowledged, number %d reads %d bytes", acked, i, len(got))
			}
		}
		must(t, s.Close())
	}
}
