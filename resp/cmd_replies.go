package resp

import "shoal/wire"

// failed answers the error of the first operation that has one, an uncertain write before all others: the other errors
// say that nothing was written, and clients retry some of them. The other operations of the command may have been
// applied: a command on several keys is not atomic.
func failed(w *Writer, res []wire.Result) bool {
	worst := -1
	for i := range res {
		if res[i].Status == wire.Uncertain {
			worst = i
			break
		}
		if res[i].Status != wire.OK && worst < 0 {
			worst = i
		}
	}
	if worst < 0 {
		return false
	}
	w.Error(errOfResult(&res[worst]))
	return true
}

func replyOK(w *Writer, _ []wire.Op, res []wire.Result) {
	if !failed(w, res) {
		w.OK()
	}
}

func replyInt(w *Writer, _ []wire.Op, res []wire.Result) {
	if !failed(w, res) {
		w.Int(res[0].Int)
	}
}

// replySum answers the sum over the distinct keys of a command.
func replySum(w *Writer, _ []wire.Op, res []wire.Result) {
	if failed(w, res) {
		return
	}
	var sum int64
	for i := range res {
		sum += res[i].Int
	}
	w.Int(sum)
}

func replyValue(w *Writer, _ []wire.Op, res []wire.Result) {
	if !failed(w, res) {
		writeValue(w, &res[0])
	}
}

func writeValue(w *Writer, r *wire.Result) {
	if !r.Found {
		w.Null()
		return
	}
	w.Bulk(r.Value)
}

// writeFailure answers a result that is not OK.
func writeFailure(w *Writer, r wire.Result) bool {
	text := errOfResult(&r)
	if text != "" {
		w.Error(text)
	}
	return text != ""
}
