package node

import "testing"

// Who is alone does not wait for company, but looks for it now and then; who had some waits a while longer.
func TestCompanyIsWaitedForWhileThereIsSome(t *testing.T) {
	var c company
	tick := func(joins int) (waited bool) {
		c.joins = joins
		waited = c.expected()
		c.ended()
		return waited
	}
	waits := 0
	for range 10 * companyProbe {
		if tick(1) {
			waits++
		}
	}
	if waits != 10 {
		t.Errorf("alone, %d ticks of %d waited", waits, 10*companyProbe)
	}
	tick(2)
	for i := range companyLasts {
		if !tick(1) {
			t.Errorf("tick %d after company did not wait", i)
		}
	}
	for range 100 {
		tick(3)
		if !tick(3) {
			t.Fatal("in company a tick did not wait")
		}
	}
}
