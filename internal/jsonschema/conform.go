package jsonschema

import (
	"bytes"
	"slices"
)

const (
	maxRounds  = 4      // that may use up their fuel; there are more when they use less
	maxReplace = 10_000 // values replaced in one round
	maxChanged = 100    // places named
)

// Conform makes a verified instance fit by replacing what does not with null, and by leaving out properties that are not
// allowed; when null does not fit either, the value around it is replaced. It returns the instance, b itself when nothing
// changed and nil when nothing fitting is left, and the places that changed, at most 100. An *Error jsonschema.fuel or
// jsonschema.instance means it is not known whether b fits.
func (s *Schema) Conform(b []byte) (out []byte, changed []string, err error) {
	for fuel := maxRounds * s.limits.Fuel; fuel > 0; {
		next, more, err := s.round(b, &changed, &fuel)
		if err != nil {
			return nil, nil, err
		}
		if !more {
			return next, changed, nil
		}
		b = next
	}
	return nil, nil, outOfFuel()
}

// round replaces what one check finds; more tells that it found something, and left something.
func (s *Schema) round(b []byte, changed *[]string, fuel *int) (out []byte, more bool, err error) {
	r, err := s.start(b)
	if err != nil {
		return nil, false, err
	}
	defer r.done()
	fits := r.check(s.root, 0, nil)
	*fuel -= s.limits.Fuel - r.fuel
	if fits && !r.spent {
		return b, false, nil
	}
	if !r.spent {
		r.fuel, r.report, r.limit = s.limits.Fuel, true, maxReplace
		r.check(s.root, 0, nil)
		*fuel -= s.limits.Fuel - r.fuel
	}
	if r.spent || len(r.fails) == 0 {
		return nil, false, outOfFuel()
	}
	found := make([]place, 0, len(r.fails))
	for _, f := range r.fails {
		p := place{at: f.at, drop: f.rule == ruleUnknown || f.rule == ruleUnevaluated || f.rule == ruleName}
		p.around = !p.drop && r.in.parts[f.at].kind == null
		found = append(found, p)
	}
	slices.SortFunc(found, func(a, b place) int { return int(a.at - b.at) })
	r.around(found)
	if slices.ContainsFunc(found, func(p place) bool { return p.at == 0 }) {
		return nil, false, nil
	}
	return r.replace(found, changed), true, nil
}

// place is what is to be replaced.
type place struct {
	at     int32
	drop   bool // a member, by its key
	around bool // rather the array or object that it is in
}

// around puts the array or object in place of what is in it, and keeps the order.
func (r *run) around(found []place) {
	var open []int32
	c := int32(0)
	for k := range found {
		if !found[k].around {
			continue
		}
		for ; c < found[k].at; c++ {
			if r.in.parts[c].kind&(array|object) != 0 {
				open = append(open, c)
			}
		}
		for len(open) > 0 && r.in.parts[open[len(open)-1]].next <= found[k].at {
			open = open[:len(open)-1]
		}
		found[k].at = 0
		if len(open) > 0 {
			found[k].at = open[len(open)-1]
		}
	}
	slices.SortFunc(found, func(a, b place) int { return int(a.at - b.at) })
}

// replace writes the instance with null at the places, and without the members that are to go.
func (r *run) replace(found []place, changed *[]string) []byte {
	out := make([]byte, 0, len(r.in.b))
	var from, end int32
	for _, f := range found {
		p := r.in.parts[f.at]
		if p.start < end {
			continue // within what is gone already
		}
		if len(*changed) < maxChanged {
			*changed = append(*changed, r.in.path(f.at))
		}
		out = append(out, r.in.b[from:p.start]...)
		if !f.drop {
			out = append(out, "null"...)
			from, end = p.end, p.end
			continue
		}
		end = r.in.parts[f.at+1].end
		from = int32(r.in.space(int(end)))
		if r.in.b[from] == ',' {
			from++
		} else { // the last member: the comma before it goes instead
			out = bytes.TrimSuffix(bytes.TrimRight(out, " \t\r\n"), []byte(","))
		}
	}
	return append(out, r.in.b[from:]...)
}
