package resp

import "bytes"

// smallSet is the number of keys up to which comparing each with each is cheaper than a table.
const smallSet = 16

// distinctKeys finds the distinct keys of a command, because a vector holds each key once. It returns, for every
// position of keys, the index of the key among the distinct ones in order of first appearance, and how many there are.
// at(i) is the i-th of n keys.
func distinctKeys(n int, at func(i int) []byte) (index []int32, distinct int) {
	index = make([]int32, n)
	if n > smallSet {
		return distinctByHash(index, at)
	}
	var first [smallSet]int // position of the first appearance of each distinct key
	for i := range n {
		key := at(i)
		j := 0
		for j < distinct && !bytes.Equal(at(first[j]), key) {
			j++
		}
		if j == distinct {
			first[j] = i
			distinct++
		}
		index[i] = int32(j)
	}
	return index, distinct
}

// distinctByHash does it with a table of positions: a map of a million strings takes ten times as much.
func distinctByHash(index []int32, at func(i int) []byte) ([]int32, int) {
	size := 64
	for size < 2*len(index) {
		size *= 2
	}
	slots := make([]int32, size) // one more than the position of a key's first appearance, 0: free
	distinct := int32(0)
	for i := range index {
		key := at(i)
		slot := int(hashKey(key)) & (size - 1)
		for slots[slot] != 0 && !bytes.Equal(at(int(slots[slot]-1)), key) {
			slot = (slot + 1) & (size - 1)
		}
		if first := slots[slot]; first != 0 {
			index[i] = index[first-1]
			continue
		}
		slots[slot] = int32(i + 1)
		index[i] = distinct
		distinct++
	}
	return index, int(distinct)
}

// firsts are the positions at which the distinct keys first appear.
func firsts(index []int32, distinct int) []int32 {
	first := make([]int32, 0, distinct)
	for i, j := range index {
		if int(j) == len(first) {
			first = append(first, int32(i))
		}
	}
	return first
}
