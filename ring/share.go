package ring

// want is what a bin asks for when a total is shared out: a part proportional to weight, between least and most.
type want struct{ weight, least, most int64 }

func newWant(weight, least, most int) want { return want{int64(weight), int64(least), int64(most)} }

// shares divides total among the bins in proportion to weight, cut to each bin's bounds, and returns every bin's exact
// share rounded down and up. The sum of least must not exceed total, nor total the sum of most.
//
// It settles the bins on the wrong side of a bound round by round: the too-high ones when they exceed by more than the
// too-low ones fall short, else the too-low ones, and shares the rest again. The unsettled bins' shares have a common
// denominator, so everything stays in whole numbers: at most MaxMembers*MaxWeight*Slots*MaxN, 48 bits, per term and
// MaxMembers terms in a sum.
func shares(bins []want, total int) (lo, hi []int) {
	lo, hi = make([]int, len(bins)), make([]int, len(bins))
	settled := make([]bool, len(bins))
	for {
		rest, weight := int64(total), int64(0)
		for b, x := range bins {
			if settled[b] {
				rest -= int64(lo[b])
			} else {
				weight += x.weight
			}
		}
		above, below := int64(0), int64(0) // by how much shares leave the bounds, times weight
		for b, x := range bins {
			if !settled[b] {
				above += max(0, rest*x.weight-x.most*weight)
				below += max(0, x.least*weight-rest*x.weight)
			}
		}
		for b, x := range bins {
			switch {
			case settled[b]:
			case above == 0 && below == 0:
				lo[b], hi[b] = int(rest*x.weight/weight), int((rest*x.weight+weight-1)/weight)
			case above >= below && rest*x.weight >= x.most*weight:
				lo[b], hi[b], settled[b] = int(x.most), int(x.most), true
			case above < below && rest*x.weight <= x.least*weight:
				lo[b], hi[b], settled[b] = int(x.least), int(x.least), true
			}
		}
		if above == 0 && below == 0 {
			return lo, hi
		}
	}
}
