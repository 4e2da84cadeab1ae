package resp

import "bytes"

// smallSet is the number of keys up to which comparing each with each is cheaper than a map.
const smallSet = 16

// distinctKeys finds the distinct keys of a command, because a vector holds each key once. It returns, for every
// position of keys, the index of the key among the distinct ones in order of first appearance, and how many there are.
// at(i) is the i-th of n keys.
func distinctKeys(n int, at func(i int) []byte) (index []int32, distinct int) {
	index = make([]int32, n)
	if n > smallSet {
		return distinctByMap(index, at)
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

func distinctByMap(index []int32, at func(i int) []byte) ([]int32, int) {
	seen := make(map[string]int32, len(index))
	for i := range index {
		key := at(i)
		j, ok := seen[string(key)]
		if !ok {
			j = int32(len(seen))
			seen[string(key)] = j
		}
		index[i] = j
	}
	return index, len(seen)
}
