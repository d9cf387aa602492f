package openapi

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"gatehouse/wire"
)

// converter makes schemas of JSON Schema 2020-12 out of those of a document, for one operation. References become $defs;
// those beyond the budget accept any value.
type converter struct {
	d      *Doc
	output bool // of an answer: nothing is required, null is accepted everywhere, write-only members are left out
	budget int
	level  int // of levels
	made       // of the schema in hand
}

// made is what a conversion came to, besides its schema.
type made struct {
	refs    []loc // shared schemas it refers to, in order
	cut     bool  // something was left open
	steps   int   // schemas that were looked at
	dropped int   // patterns left out
}

// def is one shared schema, converted. It is the same for every operation.
type def struct {
	out []byte
	made
}

// defKey identifies a converted schema.
type defKey struct {
	at     loc
	output bool
	level  int
}

// maxDefs bounds the bytes of converted schemas that a document keeps.
const maxDefs = 16 << 20

// levels are tries at a schema, each with less prose and depth than the one before, until one fits.
var levels = []struct{ descr, depth int }{{300, 24}, {100, 24}, {0, 12}, {0, 4}}

func (d *Doc) converter(output bool, level int) *converter {
	c := &converter{d: d, output: output, budget: d.opt.MaxSchema, level: level}
	if output {
		c.budget /= 4
	}
	return c
}

// at is where a schema stands while it is converted.
type at struct {
	depth int
	hops  int    // references written out on the way here (Options.Inline)
	goal  loc    // the shared schema it belongs to; zero in none
	chain string // "": a place that descends into the instance; "allOf" or "other": one applied to the same instance
}

var anything = []byte("true")

// maxNodes bounds the schemas of one conversion.
const maxNodes = 20_000

// schema converts n and returns the schema as it stands in place of n.
func (c *converter) schema(n node, a at) []byte {
	switch string(n.raw) {
	case "true", "false":
		return n.raw
	}
	o, ok := wire.ParseObject(n.raw)
	if c.steps++; !ok || a.depth > levels[c.level].depth || c.steps > maxNodes {
		c.cut = c.cut || ok
		return anything
	}
	if ref, ok := wire.Text(o.Get("$ref")); ok {
		return c.ref(n, o, ref, a)
	}
	return c.object(n, o, a)
}

// ref converts a reference.
func (c *converter) ref(n node, o wire.Object, ref string, a at) []byte {
	target, where, err := c.d.resolve(n.f, ref)
	if err != nil {
		c.cut = true
		return anything
	}
	if a.chain != "" && a.goal.f != nil && c.d.loops(a.goal, where, a.chain) {
		if a.chain != "allOf" {
			return anything
		}
		return c.bare(target, a)
	}
	if a.chain == "allOf" && !c.output && len(o) == 1 && closed(target) {
		a.depth++
		return c.schema(target, a) // written out: as a parent it is not closed
	}
	if c.d.opt.Inline > 0 {
		if a.hops >= c.d.opt.Inline {
			c.cut = true
			return anything
		}
		a.hops++
		a.depth++
		return c.schema(target, a)
	}
	c.refs = append(c.refs, where)
	out := wire.Object{{Name: "$ref", Value: wire.String("#/$defs/" + c.d.defName(where))}}
	if c.d.Revision >= "3.1" && len(o) > 1 { // siblings count since 3.1
		if rest := c.object(n, slices.Clone(o).Delete("$ref"), a); string(rest) != "{}" {
			if r, ok := wire.ParseObject(rest); ok {
				return append(out, r...).Bytes()
			}
		}
	}
	return out.Bytes()
}

// closed reports whether a schema says which further members an object may have.
func closed(n node) bool {
	o, _ := wire.ParseObject(n.raw)
	v := string(o.Get("additionalProperties"))
	return v != "" && v != "true" && v != "{}"
}

// finish adds the shared schemas that root needs, breadth first, so that what is deep is left open first.
func (c *converter) finish(root wire.Object) []byte {
	used := len(root.Bytes())
	queue := c.refs
	have := map[loc]bool{}
	var defs wire.Object
	for i := 0; i < len(queue); i++ {
		if have[queue[i]] {
			continue
		}
		have[queue[i]] = true
		x := def{out: anything, made: made{cut: true}}
		if used <= c.budget && c.steps <= maxNodes {
			y := c.d.def(queue[i], c.output, c.level)
			if c.steps += y.steps; used+len(y.out) <= c.budget+c.budget/2 {
				x = y
			}
		}
		queue = append(queue, x.refs...)
		c.cut, c.dropped = c.cut || x.cut, c.dropped+x.dropped
		name := c.d.defName(queue[i])
		defs = append(defs, wire.Member{Name: name, Value: x.out})
		used += len(x.out) + len(name) + 4
	}
	if defs == nil {
		return root.Bytes()
	}
	return root.Set("$defs", defs.Bytes()).Bytes()
}

// def converts a shared schema, or returns it as it was converted before.
func (d *Doc) def(at_ loc, output bool, level int) def {
	key := defKey{at_, output, level}
	d.mu.Lock()
	x, ok := d.defs[key]
	d.mu.Unlock()
	if ok {
		return x
	}
	c := d.converter(output, level)
	t, _ := at_.f.lookup(at_.ptr)
	x = def{out: c.schema(node{at_.f, t.v}, at{goal: at_, chain: "other"})}
	x.made = c.made
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.defBytes += len(x.out) + 200; d.defBytes > maxDefs || d.defs == nil {
		d.defs, d.defBytes = map[defKey]def{}, len(x.out)
	}
	d.defs[key] = x
	return x
}

// defName is the key of a shared schema under $defs: its own name where that is a plain one among the document's schemas.
func (d *Doc) defName(at loc) string {
	parent, last, _ := cutLast(at.ptr, '/')
	base := clip(letters(last, "_-."), 80)
	if at.f == d.root && base == last && (parent == "/components/schemas" || parent == "/definitions") {
		return base
	}
	h := sha256.Sum256([]byte(at.f.place + "#" + at.ptr))
	return base + "_" + hex.EncodeToString(h[:4])
}

func cutLast(s string, sep byte) (before, after string, found bool) {
	if i := strings.LastIndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return "", s, false
}

// maxWalk bounds the search for a reference that leads back.
const maxWalk = 2000

// loops reports whether a reference from the schema at goal to where leads back to goal without descending into the
// instance. Such a circle is broken at its allOf; one without any, where it is met.
func (d *Doc) loops(goal, where loc, chain string) bool {
	key := loopKey{goal, where, chain == "allOf"}
	d.mu.Lock()
	v, ok := d.circles[key]
	d.mu.Unlock()
	if ok {
		return v
	}
	v = d.search(goal, where, chain)
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.circles) > maxRefs || d.circles == nil {
		d.circles = map[loopKey]bool{}
	}
	d.circles[key] = v
	return v
}

type loopKey struct {
	goal, where loc
	allOf       bool
}

func (d *Doc) search(goal, where loc, chain string) bool {
	seen := map[loc]bool{}
	steps := 0
	var visit func(n node, depth int) bool
	reach := func(l loc, n node, depth int) bool {
		if l == goal {
			return true
		}
		if seen[l] {
			return false
		}
		seen[l] = true
		return visit(n, depth)
	}
	visit = func(n node, depth int) bool {
		if steps++; steps > maxWalk || depth > 64 {
			return true // unsure
		}
		o, ok := wire.ParseObject(n.raw)
		if !ok {
			return false
		}
		for _, m := range o {
			switch m.Name {
			case "$ref":
				if s, ok := wire.Text(m.Value); ok {
					if t, l, err := d.resolve(n.f, s); err == nil && reach(l, t, depth+1) {
						return true
					}
				}
			case "allOf", "anyOf", "oneOf":
				if m.Name == "allOf" && chain != "allOf" {
					continue
				}
				el, _ := wire.Elements(m.Value)
				for _, e := range el {
					if visit(node{n.f, e}, depth+1) {
						return true
					}
				}
			case "not", "if", "then", "else":
				if visit(node{n.f, m.Value}, depth+1) {
					return true
				}
			}
		}
		return false
	}
	t, _ := where.f.lookup(where.ptr)
	return reach(where, node{where.f, t.v}, 0)
}

// bare converts the parent that a circle leads to, without its choices: its members still count.
func (c *converter) bare(n node, a at) []byte {
	n, err := c.d.deref(n)
	o, ok := wire.ParseObject(n.raw)
	if err != nil || !ok {
		return anything
	}
	a.depth++
	return c.object(n, slices.Clone(o).Delete("oneOf", "anyOf", "allOf", "discriminator"), a)
}

// object converts a schema object member by member; what has the wrong form for its keyword is left out.
func (c *converter) object(n node, o wire.Object, a at) []byte {
	in := a
	in.depth++
	in.chain = ""
	same := func(chain string) at { s := in; s.chain = chain; return s }
	var out wire.Object
	add := func(name string, v []byte) {
		if v != nil {
			out = append(out, wire.Member{Name: name, Value: v})
		}
	}
	hidden := c.hidden(n, o)
	for _, m := range o {
		switch m.Name {
		case "type":
			add("type", c.kinds(o, m.Value))
		case "title":
			if a.depth == 0 && levels[c.level].descr > 0 {
				add("title", short(m.Value, 100))
			}
		case "description":
			add("description", short(m.Value, levels[c.level].descr))
		case "properties":
			add("properties", c.properties(n, o, hidden, in))
		case "required":
			if !c.output {
				add("required", required(m.Value, hidden))
			}
		case "items":
			if el, ok := wire.Elements(m.Value); ok { // the tuples of older drafts
				add("prefixItems", c.list(n, el, in))
				continue
			}
			add("items", c.schema(node{n.f, m.Value}, in))
		case "additionalProperties":
			// JSON Schema applies it to what the other parts of an allOf declare too, and then nothing is allowed at all.
			// Authors mean what no part declares, which has no keyword before unevaluatedProperties.
			parts := !c.output && (a.chain == "allOf" || o.Has("allOf") || o.Has("oneOf") || o.Has("anyOf"))
			switch {
			case parts:
			case wire.IsObject(m.Value):
				add(m.Name, c.schema(node{n.f, m.Value}, in))
			case string(m.Value) == "false" && !c.output:
				add(m.Name, m.Value)
			}
		case "allOf":
			add("allOf", c.each(n, m.Value, same("allOf")))
		case "anyOf", "oneOf":
			// One of overlapping branches is what authors write and servers accept more of: any is enough here.
			if out.Has("anyOf") {
				continue
			}
			add("anyOf", c.branches(n, m.Value, o, same("other")))
		default:
			c.keyword(n, o, m, in, same("other"), add)
		}
	}
	if c.d.Revision < "3.1" && string(o.Get("nullable")) == "true" && !c.output {
		out = nullable(out)
	}
	if disc, ok := wire.ParseObject(o.Get("discriminator")); ok {
		out = discriminated(out, text(disc, "propertyName"))
	}
	return out.Bytes()
}

func (c *converter) list(n node, el [][]byte, a at) []byte {
	out := []byte{'['}
	for i, e := range el {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, c.schema(node{n.f, e}, a)...)
	}
	return append(out, ']')
}

// each converts a list of schemas; nil when it is none or empty.
func (c *converter) each(n node, list []byte, a at) []byte {
	el, _ := wire.Elements(list)
	if len(el) == 0 {
		return nil
	}
	return c.list(n, el, a)
}

// branches converts anyOf or oneOf. Where there are both, what is said by oneOf joins the choices of anyOf only when it
// stands alone; two independent lists cannot be one.
func (c *converter) branches(n node, list []byte, o wire.Object, a at) []byte {
	out := c.each(n, list, a)
	if out == nil {
		return nil
	}
	if c.output || c.d.Revision < "3.1" && string(o.Get("nullable")) == "true" {
		return append(out[:len(out)-1], `,{"type":"null"}]`...)
	}
	return out
}

// hidden names the properties that are not part of this direction: read-only ones of a request, write-only ones of an answer.
func (c *converter) hidden(n node, o wire.Object) map[string]bool {
	mark := "readOnly"
	if c.output {
		mark = "writeOnly"
	}
	props, _ := wire.ParseObject(o.Get("properties"))
	var out map[string]bool
	for _, p := range props {
		if c.d.marked(node{n.f, p.Value}, mark) {
			if out == nil {
				out = map[string]bool{}
			}
			out[p.Name] = true
		}
	}
	return out
}

func (c *converter) properties(n node, o wire.Object, hidden map[string]bool, a at) []byte {
	props, ok := wire.ParseObject(o.Get("properties"))
	if !ok {
		return nil
	}
	out := make(wire.Object, 0, len(props))
	for _, p := range props {
		if !hidden[p.Name] {
			out = append(out, wire.Member{Name: p.Name, Value: c.schema(node{n.f, p.Value}, a)})
		}
	}
	return out.Bytes()
}
