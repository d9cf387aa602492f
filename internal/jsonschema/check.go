package jsonschema

import (
	"slices"
	"unicode/utf8"
)

// maxFrames bounds schemas within schemas during a check: 64 levels of a value, each with a chain of references.
const maxFrames = 4_000

// run is one check of one instance.
type run struct {
	schema *Schema
	in     value
	fuel   int
	spent  bool // the fuel is gone: no answer means anything
	frames int

	report bool // keep what fails and go on, rather than stop at the first
	limit  int
	fails  []fail
}

// fail is a failure before it is put into words.
type fail struct {
	n     *node
	at    int32 // in the instance
	rule  rule
	name  string  // of the property that is missing
	num   int32   // what the rule counted
	among []*node // the choices that alternatives give
}

type rule uint8

const (
	ruleFalse rule = iota
	ruleType
	ruleEnum
	ruleNumber
	ruleText
	ruleItems
	ruleUnique
	ruleContains
	ruleProperties
	ruleRequired
	ruleNeeded
	ruleUnknown
	ruleUnevaluated
	ruleName
	ruleNot
	ruleAny
	ruleOne
)

// spend takes steps from the fuel.
func (r *run) spend(n int) bool {
	if r.fuel -= n; r.fuel < 0 {
		r.spent = true
	}
	return !r.spent
}

// long is what looking at a string costs.
func (r *run) long(p *part) int { return int(p.end-p.start) / 256 }

// failed notes a failure and returns false, so that a check can return what it returns.
func (r *run) failed(f fail) bool {
	if r.report && !r.spent && len(r.fails) < r.limit {
		r.fails = append(r.fails, f)
	}
	return false
}

// stop tells whether a check that has failed may return at once.
func (r *run) stop() bool { return r.spent || !r.report || len(r.fails) >= r.limit }

// test is check without a report.
func (r *run) test(n *node, i int32, seen marks) bool {
	was := r.report
	r.report = false
	ok := r.check(n, i, seen)
	r.report = was
	return ok
}

// check reports whether the value at i fits n. seen, when not nil, gets the parts of the value that n looked at, for an
// unevaluatedItems or unevaluatedProperties around it.
func (r *run) check(n *node, i int32, seen marks) bool {
	if n.always {
		return true
	}
	if !r.spend(1) {
		return false
	}
	if r.frames++; r.frames > maxFrames {
		r.spent = true
		return false
	}
	ok := r.keywords(n, i, seen)
	r.frames--
	return ok
}

func (r *run) keywords(n *node, i int32, seen marks) bool {
	p := &r.in.parts[i]
	switch {
	case n.never:
		return r.failed(fail{n: n, at: i, rule: ruleFalse})
	case n.types != 0 && n.types&p.kind == 0 && !(n.types&integer != 0 && p.kind == number && r.whole(i)):
		return r.failed(fail{n: n, at: i, rule: ruleType})
	case n.enum != nil && !r.chosen(n.enum, i), n.constant != nil && !r.chosen(n.constant, i):
		return r.failed(fail{n: n, at: i, rule: ruleEnum})
	}
	mine := seen
	rest := n.apply.rest(p.kind)
	if rest != nil {
		if !r.spend(int(p.n) / 64) {
			return false
		}
		mine = newMarks(p.n) // it sees what stands beside it, not what stands around
	}
	ok := true
	switch {
	case p.kind == number && n.number != nil:
		ok = r.number(n, i)
	case p.kind == text && n.text != nil:
		ok = r.text(n, i)
	case p.kind == array && n.array != nil:
		ok = r.array(n, i, mine)
	case p.kind == object && n.object != nil:
		ok = r.object(n, i, mine)
	}
	if n.apply == nil || !ok && r.stop() {
		return ok
	}
	ok = r.apply(n, i, mine) && ok
	if rest == nil || !ok {
		return ok
	}
	k := int32(0)
	r.in.children(i, func(key, val int32) {
		if !mine.has(k) && (ok || !r.stop()) {
			if rest.never && key > 0 {
				ok = r.failed(fail{n: n, at: key, rule: ruleUnevaluated})
			} else {
				ok = r.check(rest, val, nil) && ok
			}
		}
		k++
	})
	seen.all(p.n)
	return ok
}

func (r *run) whole(i int32) bool {
	var x decimal
	x.read(r.in.raw(i))
	return x.whole()
}

func (r *run) chosen(c *choices, i int32) bool {
	p := &r.in.parts[i]
	if p.kind == text {
		if !p.escaped && int(p.end-p.start)-2 > c.longest || !r.spend(r.long(p)) {
			return false
		}
		_, ok := c.texts[string(r.in.str(i))]
		return ok
	}
	if !r.spend(len(c.list) / 8) {
		return false
	}
	for _, j := range c.list {
		if r.schema.doc.parts[j].kind == p.kind && r.equal(&r.in, i, &r.schema.doc, j) {
			return true
		}
	}
	return false
}

func (r *run) number(n *node, i int32) bool {
	var x decimal
	x.read(r.in.raw(i))
	if k := n.number; k.least != nil && x.cmp(k.least) < 0 || k.most != nil && x.cmp(k.most) > 0 ||
		k.over != nil && x.cmp(k.over) <= 0 || k.under != nil && x.cmp(k.under) >= 0 ||
		k.multiple != nil && !x.multiple(k.multiple) {
		return r.failed(fail{n: n, at: i, rule: ruleNumber})
	}
	return true
}

func (r *run) text(n *node, i int32) bool {
	if !r.spend(r.long(&r.in.parts[i])) {
		return false
	}
	k, s := n.text, r.in.str(i)
	// A character has 1 to 4 bytes: most strings need no counting.
	if k.max >= 0 && len(s) > int(k.max) || len(s) < 4*int(k.min) {
		if c := utf8.RuneCount(s); c < int(k.min) || k.max >= 0 && c > int(k.max) {
			return r.failed(fail{n: n, at: i, rule: ruleText, num: int32(c)})
		}
	}
	if k.pattern != nil && !r.match(k.pattern, s) {
		return r.failed(fail{n: n, at: i, rule: ruleText, num: -1})
	}
	return true
}

// match pays for the worst that RE2 does: each of its steps for each byte. Without that, a pattern is where a schema could
// spend seconds.
func (r *run) match(p *pattern, s []byte) bool {
	return r.spend(1+len(s)*p.weight/64) && p.Match(s)
}

func (r *run) array(n *node, i int32, seen marks) bool {
	p, k, ok := &r.in.parts[i], n.array, true
	if p.n < k.min || k.max >= 0 && p.n > k.max {
		if ok = r.failed(fail{n: n, at: i, rule: ruleItems, num: p.n}); r.stop() {
			return false
		}
	}
	found := int32(0)
	for m, c := 0, i+1; c < p.next; m, c = m+1, r.in.parts[c].next {
		sub := k.items
		if m < len(k.prefix) {
			sub = k.prefix[m]
		}
		if sub != nil {
			seen.add(int32(m))
			if !r.check(sub, c, nil) {
				if ok = false; r.stop() {
					return false
				}
			}
		}
		if k.contains != nil && r.test(k.contains, c, nil) {
			seen.add(int32(m))
			found++
		}
		if r.spent {
			return false
		}
	}
	if k.contains != nil && (found < k.atLeast || k.atMost >= 0 && found > k.atMost) {
		ok = r.failed(fail{n: n, at: i, rule: ruleContains, num: found})
	}
	if k.unique {
		if twin, unique := r.unique(i); !unique {
			ok = r.failed(fail{n: n, at: twin, rule: ruleUnique})
		}
	}
	return ok
}

func (r *run) object(n *node, i int32, seen marks) bool {
	p, k, ok := &r.in.parts[i], n.object, true
	if p.n < k.min || k.max >= 0 && p.n > k.max {
		if ok = r.failed(fail{n: n, at: i, rule: ruleProperties, num: p.n}); r.stop() {
			return false
		}
	}
	required := 0
	for m, c := int32(0), i+1; c < p.next; m++ {
		key, val := c, c+1
		c = r.in.parts[val].next
		is, fits := r.member(n, key, val, m, seen)
		if required += is; !fits {
			if ok = false; r.stop() {
				return false
			}
		}
	}
	if required < len(k.required) {
		for _, name := range k.required {
			if r.has(i, name) {
				continue
			}
			if ok = r.failed(fail{n: n, at: i, rule: ruleRequired, name: name}); r.stop() {
				return false
			}
		}
	}
	for _, need := range k.needs {
		if !r.has(i, need.when) {
			continue
		}
		for _, name := range need.names {
			if !r.has(i, name) {
				if ok = r.failed(fail{n: n, at: i, rule: ruleNeeded, name: name}); r.stop() {
					return false
				}
			}
		}
	}
	return ok
}

// member checks the m-th member of an object; is counts it when it is required.
func (r *run) member(n *node, key, val, m int32, seen marks) (is int, ok bool) {
	k, name, known := n.object, r.in.str(key), false
	if !r.spend(1 + r.long(&r.in.parts[key])) {
		return 0, false
	}
	ok = true
	if mem := k.members[string(name)]; mem != nil {
		if mem.required {
			is = 1
		}
		if mem.node != nil {
			known, ok = true, r.check(mem.node, val, nil)
		}
	}
	for _, pat := range k.patterns {
		if r.match(pat.pattern, name) {
			known, ok = true, r.check(pat.node, val, nil) && ok
		}
	}
	switch {
	case known:
	case k.open:
		known = true
	case k.additional != nil:
		if known = true; k.additional.never {
			ok = r.failed(fail{n: n, at: key, rule: ruleUnknown})
		} else {
			ok = r.check(k.additional, val, nil) && ok
		}
	}
	if known {
		seen.add(m)
	}
	if k.names != nil && !r.test(k.names, key, nil) {
		ok = r.failed(fail{n: k.names, at: key, rule: ruleName})
	}
	return is, ok
}

func (r *run) has(i int32, name string) bool {
	p := &r.in.parts[i]
	return r.spend(1+int(p.n)/16+int(p.end-p.start)/1024) && r.in.get(i, name) > 0
}

// apply checks the schemas that look at the same value.
func (r *run) apply(n *node, i int32, seen marks) bool {
	a, ok := n.apply, true
	for _, list := range [2][]*node{a.refs, a.all} {
		for _, sub := range list {
			if !r.check(sub, i, seen) {
				if ok = false; r.stop() {
					return false
				}
			}
		}
	}
	for _, d := range a.dependent {
		if r.in.parts[i].kind == object && r.has(i, d.when) {
			ok = r.check(d.node, i, seen) && ok
		}
	}
	if a.cond != nil {
		own := seen.fresh()
		if r.test(a.cond, i, own) {
			seen.merge(own)
			ok = (a.then == nil || r.check(a.then, i, seen)) && ok
		} else {
			ok = (a.otherwise == nil || r.check(a.otherwise, i, seen)) && ok
		}
	}
	if a.not != nil && r.test(a.not, i, nil) {
		ok = r.failed(fail{n: n, at: i, rule: ruleNot})
	}
	if !ok && r.stop() {
		return false
	}
	if a.any != nil {
		enough := 1
		if seen != nil {
			enough = len(a.any) // somebody asks for what all of them looked at
		}
		if r.fitting(a.any, i, seen, enough) == 0 {
			r.closest(n, a.any, i)
			ok = false
		}
	}
	if a.one != nil {
		switch fit := r.fitting(a.one, i, seen, 2); {
		case fit == 0:
			r.closest(n, a.one, i)
			ok = false
		case fit > 1:
			ok = r.failed(fail{n: n, at: i, rule: ruleOne, num: int32(fit)})
		}
	}
	return ok && !r.spent
}

// fitting counts the alternatives that fit, until there are enough.
func (r *run) fitting(list []*node, i int32, seen marks, enough int) int {
	fit := 0
	for _, sub := range list {
		if own := seen.fresh(); r.spend(len(own)) && r.test(sub, i, own) {
			seen.merge(own)
			if fit++; fit >= enough {
				break
			}
		}
	}
	return fit
}

// closest reports the alternative that comes nearest to the value. When none is of the value's type, or all tell each other
// apart by one property, it reports what they want there.
func (r *run) closest(n *node, list []*node, i int32) {
	if !r.report || r.spent || len(r.fails) >= r.limit {
		return
	}
	before := r.fails
	var best, tags []fail
	least := 0
	for _, sub := range list {
		r.fails = nil
		r.check(sub, i, nil)
		if d := r.distance(r.fails, i); best == nil || d < least {
			best, least = r.fails, d
		}
		if k := slices.IndexFunc(r.fails, fail.tag); k >= 0 && r.fails[k].at != i {
			tags = append(tags, r.fails[k])
		}
	}
	r.fails = before
	if len(tags) == len(list) && !slices.ContainsFunc(tags, func(f fail) bool { return f.at != tags[0].at }) {
		f := tags[0]
		for _, t := range tags {
			f.among = append(f.among, t.n)
		}
		r.failed(f)
		return
	}
	if len(best) == 0 || best[0].at == i && (best[0].rule == ruleType || best[0].rule == ruleEnum) {
		r.failed(fail{n: n, at: i, rule: ruleAny})
		return
	}
	r.fails = append(r.fails, best[:min(len(best), r.limit-len(before))]...)
}

// tag tells whether the failure is of a property that names one alternative, as "kind": "circle" does.
func (f fail) tag() bool {
	return f.rule == ruleEnum && (f.n.constant != nil || len(f.n.enum.list) == 1)
}

// distance tells how far from an alternative the value at i is. Another type is far; a tag that is not its own is farther
// than what only lacks something.
func (r *run) distance(fails []fail, i int32) int {
	d := 0
	for _, f := range fails {
		switch {
		case f.at == i && (f.rule == ruleType || f.rule == ruleEnum || f.rule == ruleFalse || f.rule == ruleAny):
			d += 1000
		case f.tag():
			d += 100
		case f.rule == ruleRequired || f.rule == ruleUnknown || f.rule == ruleUnevaluated:
			d += 10
		default:
			d += 4
		}
	}
	return d
}
