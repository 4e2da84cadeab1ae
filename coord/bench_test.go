package coord

import (
	"fmt"
	"testing"

	"shoal/wire"
)

// A vector of writes or reads at its coordinator and what the one owner that is needed answers; the figures are per
// vector, without a store's and a network's work.
func BenchmarkStep(b *testing.B) {
	for _, code := range []wire.Code{wire.OpSet, wire.OpGet} {
		for _, n := range []int{1, 16, 256} {
			b.Run(fmt.Sprintf("%s/%d", map[wire.Code]string{wire.OpSet: "SET", wire.OpGet: "GET"}[code], n), func(b *testing.B) {
				x := newCluster(nil)
				m := x.machines[a]
				m.cfg.MaxPending = 2 * n
				ops := make([]wire.Op, n)
				for i := range ops {
					ops[i] = wire.Op{Code: code, Key: fmt.Appendf(nil, "key:%d", i), Value: make([]byte, 128)}
				}
				var answers []wire.Item
				b.ReportAllocs()
				for b.Loop() {
					m.Exec(x.now, 1, ops)
					answers = answers[:0]
					for _, it := range m.Effects().Peers[0].Items {
						if it.Kind == wire.ItemWrite && it.ID != 0 {
							answers = append(answers, wire.Item{Kind: wire.ItemAck, ID: it.ID})
						} else if it.Kind == wire.ItemRead {
							answers = append(answers, wire.Item{Kind: wire.ItemRow, ID: it.ID, Flags: wire.FlagSame | wire.FlagWhole})
						}
					}
					from := m.Effects().Peers[0].To
					m.Step(x.now, from, answers)
					if len(m.Effects().Done) != n {
						b.Fatalf("%d of %d done", len(m.Effects().Done), n)
					}
					m.Reset()
				}
			})
		}
	}
}
