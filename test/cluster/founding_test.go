package cluster

import (
	"strings"
	"testing"
	"time"

	"shoal/node"
)

func TestANodeAloneFoundsAClusterAndServes(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		c := w.machine("n1").up().client()
		want(t, c, "OK", "SET", "k", "v")
		want(t, c, "v", "GET", "k")
		want(t, c, 1, "DBSIZE")
	})
}

func TestThreeNodesFindEachOther(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for _, c := range clients(w.three()) {
			info := do(t, c, "CLUSTER", "INFO").(string)
			for _, line := range []string{"cluster_state:ok", "cluster_known_nodes:3", "cluster_size:3"} {
				if !strings.Contains(info, line+"\r\n") {
					t.Errorf("CLUSTER INFO lacks %s:\n%s", line, info)
				}
			}
			for name, value := range map[string]string{"ring_members": "3", "ring_live": "3", "ring_epoch": "3", "ring_partitions": "16", "ring_pending_transfers": "0"} {
				if got := infoField(t, c, "ring", name); got != value {
					t.Errorf("%s is %s, want %s", name, got, value)
				}
			}
		}
	})
}
