package jsonschema

// marks is the set of an array's elements or an object's members that some schema looked at; nil when nobody asks.
type marks []uint64

func newMarks(n int32) marks { return make(marks, n/64+1) }

func (m marks) add(k int32) {
	if m != nil {
		m[k/64] |= 1 << (k % 64)
	}
}

func (m marks) has(k int32) bool { return m[k/64]&(1<<(k%64)) != 0 }

// all adds the first n.
func (m marks) all(n int32) {
	for k := range n {
		m.add(k)
	}
}

// fresh is an empty set for an alternative that may fail.
func (m marks) fresh() marks {
	if m == nil {
		return nil
	}
	return make(marks, len(m))
}

func (m marks) merge(other marks) {
	for k := range other {
		m[k] |= other[k]
	}
}
