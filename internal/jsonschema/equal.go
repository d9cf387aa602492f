package jsonschema

import (
	"bytes"
	"cmp"
	"hash/maphash"
	"slices"
)

// equal compares two values as JSON Schema does: numbers by their value, objects in any order.
func (r *run) equal(a *value, i int32, b *value, j int32) bool {
	p, q := &a.parts[i], &b.parts[j]
	if !r.spend(1) || p.kind != q.kind || p.n != q.n {
		return false
	}
	switch p.kind {
	case boolean:
		return p.end-p.start == q.end-q.start
	case number:
		if bytes.Equal(a.raw(i), b.raw(j)) {
			return true
		}
		var x, y decimal
		x.read(a.raw(i))
		y.read(b.raw(j))
		return x.cmp(&y) == 0
	case text:
		return r.spend(r.long(p)+r.long(q)) && bytes.Equal(a.str(i), b.str(j))
	case array:
		for c, d := i+1, j+1; c < p.next; c, d = a.parts[c].next, b.parts[d].next {
			if !r.equal(a, c, b, d) {
				return false
			}
		}
	case object:
	next:
		for c := i + 1; c < p.next; c = a.parts[c+1].next {
			for d := j + 1; d < q.next; d = b.parts[d+1].next {
				if r.equal(a, c, b, d) {
					if !r.equal(a, c+1, b, d+1) {
						return false
					}
					continue next
				}
			}
			return false
		}
	}
	return true
}

// hash is the same for values that are equal.
func (r *run) hash(seed maphash.Seed, i int32) uint64 {
	p := &r.in.parts[i]
	if !r.spend(1 + r.long(p)) {
		return 0
	}
	h := uint64(p.kind)
	switch p.kind {
	case boolean:
		h += uint64(p.end - p.start)
	case number:
		var x decimal
		x.read(r.in.raw(i))
		h += maphash.Bytes(seed, x.digits()) + uint64(x.exp)*7
	case text:
		h += maphash.Bytes(seed, r.in.str(i))
	case array:
		for c := i + 1; c < p.next; c = r.in.parts[c].next {
			h = h*31 + r.hash(seed, c)
		}
	case object:
		for c := i + 1; c < p.next; c = r.in.parts[c+1].next {
			k := r.hash(seed, c) // members add up, so their order does not matter
			h += maphash.Comparable(seed, [2]uint64{k, r.hash(seed, c+1)})
		}
	}
	return h
}

// unique reports whether no two elements are equal; only those of the same hash are compared.
func (r *run) unique(i int32) (twin int32, ok bool) {
	p := &r.in.parts[i]
	if p.n < 2 {
		return 0, true
	}
	type item struct {
		hash uint64
		at   int32
	}
	seed, items := maphash.MakeSeed(), make([]item, 0, p.n)
	for c := i + 1; c < p.next && !r.spent; c = r.in.parts[c].next {
		items = append(items, item{r.hash(seed, c), c})
	}
	slices.SortFunc(items, func(a, b item) int { return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.at, b.at)) })
	for k := range items {
		for m := k - 1; m >= 0 && items[m].hash == items[k].hash && !r.spent; m-- {
			if r.equal(&r.in, items[m].at, &r.in, items[k].at) {
				return items[k].at, false
			}
		}
	}
	return 0, true
}
