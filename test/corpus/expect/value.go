package expect

import (
	"encoding/json"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"strings"
)

// Variants of the values that one operation is tried with.
const (
	Least  = iota // only what is required
	Filled        // everything, with values that need care; arrays of three
	Other         // everything again: other branches, other kinds, arrays of one
	Empty         // everything that may be empty or null is
	variants
)

// gen makes values that satisfy schemas.
type gen struct {
	d        dialect
	variant  int
	alphabet alphabet
	n        int  // counts texts, so that no two values of one request are alike
	left     int  // nodes that may still be made beyond what is required
	files    bool // strings of format binary are content, not text
	nulls    bool // null has a form where the value goes
	flat     bool // no objects and arrays where the schema leaves a choice
}

// value returns a value for the schemas; false when none could be made.
func (g *gen) value(ss []at, depth int) (any, bool) { return g.build(ss, nil, depth) }

func (g *gen) build(ss []at, done []uintptr, depth int) (any, bool) {
	if depth > 14 {
		return nil, false
	}
	g.left--
	ps, err := g.d.every(ss)
	if err != nil {
		return nil, false
	}
	if v, ok, fixed := g.fixed(ps, ss); fixed {
		return v, ok
	}
	kinds := g.d.kinds(ps)
	if g.files && kinds == nil && !hasChoice(ps) && (anyPart(ps, g.d.raw) || g.d.modern && depth == 1 && g.choose(nil, ps) == "") {
		return Bytes(fmt.Sprintf("\x00%d\xff\r\n\x80", g.n)), true // raw binary is outside of type
	}
	if g.variant == Empty && g.nulls && depth > 0 && slices.Contains(kinds, "null") && g.d.valid(nil, ss, 0) == "" {
		return nil, true
	}
	for _, p := range ps {
		id := reflect.ValueOf(p.object()).Pointer()
		for _, word := range []string{"oneOf", "anyOf"} {
			if branches := p.get(word).each(); len(branches) > 0 && !slices.Contains(done, id+uintptr(len(word))) {
				return g.branch(p, branches, ss, append(done, id+uintptr(len(word))), depth)
			}
		}
	}
	return g.kind(g.choose(kinds, ps), ps, ss, depth)
}

// fixed is the value where the schema names it: const or enum.
func (g *gen) fixed(ps []part, ss []at) (v any, ok, fixed bool) {
	for _, p := range ps {
		if c, have := p.object()["const"]; have {
			return c, g.d.valid(c, ss, 0) == "", true
		}
		list := p.get("enum").list()
		if len(list) == 0 {
			continue
		}
		for i := range list {
			c := list[(i+g.variant+g.n)%len(list)]
			if c == nil && (!g.nulls || g.variant != Empty) {
				continue
			}
			if s, is := c.(string); is && !g.alphabet.holds(s) {
				continue
			}
			if g.d.valid(c, ss, 0) == "" {
				g.n++
				return c, true, true
			}
		}
		return nil, false, true
	}
	return nil, false, false
}

// branch makes a value of one of the branches; which one is tried first is up to the variant.
func (g *gen) branch(p part, branches, ss []at, done []uintptr, depth int) (any, bool) {
	start := g.n
	if g.variant == Other {
		start++
	}
	for i := range branches {
		b := branches[(i+start)%len(branches)]
		if b.get("type").text() == "null" {
			continue
		}
		v, ok := g.build(append(slices.Clone(ss), b), done, depth)
		if !ok {
			continue
		}
		g.discriminate(v, p, b)
		if g.d.valid(v, ss, 0) == "" {
			return v, true
		}
		if m, is := v.(map[string]any); is && g.variant != Least {
			// Optional properties of the branch may be what another branch refuses or accepts too: try what is required alone.
			small := *g
			small.variant = Least
			if v, ok := small.build(append(slices.Clone(ss), b), done, depth); ok && !Equal(v, m) {
				small.discriminate(v, p, b)
				if g.d.valid(v, ss, 0) == "" {
					return v, true
				}
			}
		}
	}
	return nil, false
}

// discriminate names the branch in the property that the discriminator says.
func (g *gen) discriminate(v any, p part, b at) {
	m, _ := v.(map[string]any)
	prop := p.get("discriminator").get("propertyName").text()
	ref := b.get("$ref").text()
	if m == nil || prop == "" || ref == "" {
		return
	}
	name := ref[strings.LastIndex(ref, "/")+1:]
	mapping := p.get("discriminator").get("mapping").object()
	for _, k := range keys(mapping) {
		if mapping[k] == ref || mapping[k] == name {
			name = k
			break
		}
	}
	was, had := m[prop]
	m[prop] = name
	if g.d.valid(v, []at{b}, 0) != "" {
		m[prop] = was
		if !had {
			delete(m, prop)
		}
	}
}

// choose picks the kind of value to make.
func (g *gen) choose(kinds []string, ps []part) string {
	kinds = slices.DeleteFunc(slices.Clone(kinds), func(k string) bool { return k == "null" })
	if g.flat {
		if plain := slices.DeleteFunc(slices.Clone(kinds), func(k string) bool { return k == "object" || k == "array" }); len(plain) > 0 {
			kinds = plain
		}
	}
	if len(kinds) > 0 {
		if g.variant == Other {
			return kinds[len(kinds)-1]
		}
		return kinds[0]
	}
	has := func(words ...string) bool {
		return anyPart(ps, func(p part) bool {
			return slices.ContainsFunc(words, func(w string) bool { return p.get(w).is() })
		})
	}
	switch {
	case has("properties", "additionalProperties", "required", "minProperties"):
		return "object"
	case has("items", "prefixItems", "minItems"):
		return "array"
	case has("pattern", "format", "minLength", "maxLength"):
		return "string"
	case has("minimum", "maximum", "multipleOf"):
		return "number"
	}
	return ""
}

func (g *gen) kind(kind string, ps []part, ss []at, depth int) (any, bool) {
	var candidates []any
	switch kind {
	case "object":
		return g.object(ps, ss, depth)
	case "array":
		return g.array(ps, ss, depth)
	case "null":
		candidates = []any{nil}
	case "boolean":
		g.n++
		candidates = []any{g.n%2 == 0, true, false}
	case "integer", "number":
		candidates = g.numbers(kind, ps)
	case "file":
		return Bytes("\x00file\xff\r\n\x80"), true
	case "":
		g.n++
		candidates = []any{careful(g.n)}
		if !g.flat && g.variant == Filled {
			candidates = []any{map[string]any{"any": []any{careful(g.n), json.Number("1.5"), nil, true}}, careful(g.n)}
		}
		return g.first(candidates, ss)
	case "string":
		if g.files && anyPart(ps, g.d.raw) {
			return Bytes(fmt.Sprintf("\x00%d\xff\r\n\x80", g.n)), true
		}
		least, most := bounds(ps, "minLength", "maxLength")
		if g.variant == Empty && least == 0 {
			candidates = append(candidates, "")
		}
		for _, s := range g.strings(ps, least, most) {
			candidates = append(candidates, s)
		}
	default:
		return nil, false
	}
	return g.first(candidates, ss)
}

// raw says whether the content of a part of this schema is binary.
func (d dialect) raw(p part) bool {
	if d.modern {
		t := p.get("contentMediaType").text()
		return t != "" && p.get("contentEncoding").text() == "" && !strings.HasPrefix(t, "text/") && !isJSON(t) || p.get("format").text() == "binary"
	}
	return p.get("format").text() == "binary" || p.get("type").text() == "file"
}

func (g *gen) first(candidates []any, ss []at) (any, bool) {
	for _, c := range candidates {
		if s, is := c.(string); is && !g.alphabet.holds(s) {
			continue
		}
		if g.d.valid(c, ss, 0) == "" {
			return c, true
		}
	}
	return nil, false
}

// bounds are the highest least and the lowest most that the parts give; most is -1 when none does.
func bounds(ps []part, low, high string) (least, most int) {
	most = -1
	for _, p := range ps {
		if n, ok := number(p.get(low)); ok && n.IsInt() && n.Num().IsInt64() {
			least = max(least, int(n.Num().Int64()))
		}
		if n, ok := number(p.get(high)); ok && n.IsInt() && n.Num().IsInt64() {
			if m := int(n.Num().Int64()); most < 0 || m < most {
				most = m
			}
		}
	}
	return least, most
}

func (g *gen) numbers(kind string, ps []part) []any {
	g.n++
	texts := [...]string{"7", "-3", "9007199254740993", "0", "65536"}
	if kind == "number" {
		texts = [...]string{"1.5", "-0.25", "1234567890.123456789", "0", "9007199254740993"}
	}
	small := anyPart(ps, func(p part) bool {
		f := p.get("format").text()
		return f != "" && f != "int64" && f != "double" && f != "decimal"
	})
	var out []any
	for i := range texts {
		t := texts[(i+g.n)%len(texts)]
		if small && len(t) > 9 {
			t = "12"
		}
		out = append(out, json.Number(t))
	}
	for _, p := range ps {
		for _, w := range []string{"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "example", "default"} {
			n, ok := number(p.get(w))
			if !ok {
				continue
			}
			for _, add := range []*big.Rat{big.NewRat(0, 1), big.NewRat(1, 1), big.NewRat(-1, 1), big.NewRat(1, 8), big.NewRat(-1, 8)} {
				x := new(big.Rat).Add(n, add)
				if kind == "integer" && !x.IsInt() {
					continue
				}
				t := x.RatString()
				if !x.IsInt() {
					t = x.FloatString(6)
				}
				out = append(out, json.Number(t))
			}
		}
	}
	return append(out, json.Number("1"), json.Number("100"))
}
