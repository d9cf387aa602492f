package wire

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// SchemaLimits bounds a JSON Schema of somebody who is not trusted.
type SchemaLimits struct {
	Bytes      int
	Subschemas int
	Depth      int // schemas within schemas
	Pattern    int // bytes of one regular expression
}

// DefaultSchemaLimits is what a tool of an upstream server or of an API document may bring.
var DefaultSchemaLimits = SchemaLimits{Bytes: 64 << 10, Subschemas: 2000, Depth: 32, Pattern: 1 << 10}

// GuardSchema judges a verified schema before any library sees it: it is bounded, refers to nothing outside of itself, and
// no reference leads back to itself without descending into the instance. The error is an *Error wire.schema that begins
// with the place, a JSON pointer.
func GuardSchema(b []byte, l SchemaLimits) error {
	if len(b) > l.Bytes {
		return bad("wire.schema", "#: it has %d bytes, more than %d", len(b), l.Bytes)
	}
	if s := string(b); s == "true" || s == "false" {
		return nil
	}
	b = b[skipSpace(b, 0):]
	o, ok := ParseObject(b)
	if !ok {
		return bad("wire.schema", "#: a schema is an object, true or false")
	}
	g := &schemaGuard{l: l, root: b, nodes: map[*byte]*schemaNode{}, anchors: map[string]*schemaNode{}}
	g.id, _ = Text(o.Get("$id"))
	if g.id = strings.TrimSuffix(g.id, "#"); strings.HasPrefix(g.id, "#") {
		g.id = ""
	}
	if err := g.schema(b, nil, 1); err != nil {
		return err
	}
	for i := 0; i < len(g.refs); i++ { // resolving may find more
		if err := g.resolve(g.refs[i]); err != nil {
			return err
		}
	}
	for _, n := range g.order {
		if at := n.turns(); at != nil {
			return at.fault("it applies to the same value again, without end")
		}
	}
	return nil
}

// schemaGuard is one run over a schema. Schemas are told apart by their first byte: all are parts of root.
type schemaGuard struct {
	l       SchemaLimits
	root    []byte
	id      string // $id of the root
	nodes   map[*byte]*schemaNode
	order   []*schemaNode
	anchors map[string]*schemaNode
	refs    []schemaRef
}

// schemaNode is one schema, and the ones that apply to the same instance as it.
type schemaNode struct {
	path  []string
	depth int
	same  []*schemaNode
	state uint8 // 0 not seen, 1 on the way, 2 done
}

type schemaRef struct {
	from   *schemaNode
	key    string
	target string
}

func (n *schemaNode) fault(format string, a ...any) error {
	var p strings.Builder
	p.WriteByte('#')
	for _, s := range n.path {
		p.WriteByte('/')
		if len(s) > 64 {
			s = s[:64]
		}
		p.WriteString(strings.ToValidUTF8(strings.NewReplacer("~", "~0", "/", "~1").Replace(s), ""))
	}
	return bad("wire.schema", "%s: %s", p.String(), fmt.Sprintf(format, a...))
}

// turns returns the schema at which applying n comes back to one already being applied, or nil.
func (n *schemaNode) turns() *schemaNode {
	if n.state > 0 {
		if n.state == 1 {
			return n
		}
		return nil
	}
	n.state = 1
	for _, s := range n.same {
		if at := s.turns(); at != nil {
			return at
		}
	}
	n.state = 2
	return nil
}

// What the value of a keyword is (JSON Schema 2020-12 core, sections 8 to 11; draft 7 where it differs).
type schemaKeyword uint8

const (
	other   schemaKeyword = iota // not known: nobody applies it, but a reference may lead into it
	plain                        // data
	sub                          // a schema, or an array of them, for a part of the instance
	named                        // schemas by name, for parts of the instance or for references
	sameSub                      // like sub, for the instance itself
	sameNamed
	ref
)

func keyword(name string) schemaKeyword {
	switch name {
	case "const", "enum", "default", "examples", "example", "required", "type", "title", "description", "$comment":
		return plain
	case "items", "prefixItems", "additionalItems", "contains", "additionalProperties", "propertyNames", "unevaluatedItems", "unevaluatedProperties", "contentSchema":
		return sub
	case "properties", "patternProperties", "$defs", "definitions":
		return named
	case "allOf", "anyOf", "oneOf", "not", "if", "then", "else":
		return sameSub
	case "dependentSchemas", "dependencies":
		return sameNamed
	case "$ref", "$dynamicRef", "$recursiveRef":
		return ref
	}
	return other
}

// schema visits one schema.
func (g *schemaGuard) schema(v []byte, path []string, depth int) error {
	n := &schemaNode{path: path, depth: depth}
	if depth > g.l.Depth {
		return n.fault("schemas are nested deeper than %d", g.l.Depth)
	}
	if len(g.order) >= g.l.Subschemas {
		return n.fault("more than %d schemas", g.l.Subschemas)
	}
	g.nodes[&v[0]] = n
	g.order = append(g.order, n)
	o, _ := ParseObject(v) // true and false have no members
	for _, m := range o {
		at := append(path[:len(path):len(path)], m.Name)
		if err := g.member(n, m, at); err != nil {
			return err
		}
	}
	return nil
}

func (g *schemaGuard) member(n *schemaNode, m Member, at []string) error {
	here := &schemaNode{path: at}
	switch m.Name {
	case "pattern":
		if len(m.Value) > g.l.Pattern+2 {
			return here.fault("a pattern of more than %d bytes", g.l.Pattern)
		}
	case "$id":
		if id, _ := Text(m.Value); strings.HasPrefix(id, "#") { // an anchor, in draft 7
			return g.anchor(here, id[1:], n)
		}
		if n.depth > 1 {
			return here.fault("an $id within a schema would change what references mean")
		}
	case "$anchor", "$dynamicAnchor":
		name, _ := Text(m.Value)
		return g.anchor(here, name, n)
	}
	switch kind := keyword(m.Name); kind {
	case ref:
		target, ok := Text(m.Value)
		if !ok {
			return here.fault("a reference is a string")
		}
		g.refs = append(g.refs, schemaRef{n, m.Name, target})
	case sub, sameSub, other:
		el, ok := Elements(m.Value)
		if !ok {
			return g.child(n, m.Value, at, kind)
		}
		for i, e := range el {
			if err := g.child(n, e, append(at[:len(at):len(at)], strconv.Itoa(i)), kind); err != nil {
				return err
			}
		}
	case named, sameNamed:
		o, _ := ParseObject(m.Value)
		for _, x := range o {
			deep := append(at[:len(at):len(at)], x.Name)
			if m.Name == "patternProperties" && len(x.Name) > g.l.Pattern {
				return here.fault("a pattern of more than %d bytes", g.l.Pattern)
			}
			if err := g.child(n, x.Value, deep, kind); err != nil {
				return err
			}
		}
	}
	return nil
}

// child visits a value where a schema may stand.
func (g *schemaGuard) child(n *schemaNode, v []byte, at []string, kind schemaKeyword) error {
	if !isSchema(v) || kind == other && v[0] != '{' {
		return nil
	}
	if err := g.schema(v, at, n.depth+1); err != nil {
		return err
	}
	if kind == sameSub || kind == sameNamed {
		n.same = append(n.same, g.nodes[&v[0]])
	}
	return nil
}

func isSchema(v []byte) bool { return len(v) > 0 && (v[0] == '{' || v[0] == 't' || v[0] == 'f') }

// anchor notes a name by which references may call n.
func (g *schemaGuard) anchor(here *schemaNode, name string, n *schemaNode) error {
	switch have := g.anchors[name]; {
	case name == "" || strings.HasPrefix(name, "/"):
		return here.fault("an anchor has a name")
	case have != nil && have != n:
		return here.fault("the anchor %q stands twice", clipText(name))
	}
	g.anchors[name] = n
	return nil
}

// resolve finds what a reference leads to, which must be a schema of this document.
func (g *schemaGuard) resolve(r schemaRef) error {
	here := &schemaNode{path: append(r.from.path[:len(r.from.path):len(r.from.path)], r.key)}
	target := r.target
	if g.id != "" {
		target = strings.TrimPrefix(target, g.id)
	}
	if target != "" && target[0] != '#' {
		return here.fault("it refers to %q, which is outside of the schema and is never fetched", clipText(r.target))
	}
	frag, err := url.PathUnescape(strings.TrimPrefix(target, "#"))
	if err != nil {
		return here.fault("the reference %q cannot be read", clipText(r.target))
	}
	if frag != "" && frag[0] != '/' {
		n := g.anchors[frag]
		if n == nil {
			return here.fault("the reference %q leads nowhere", clipText(r.target))
		}
		r.from.same = append(r.from.same, n)
		return nil
	}
	v, path := g.find(frag)
	if !isSchema(v) {
		return here.fault("the reference %q leads to no schema", clipText(r.target))
	}
	if g.nodes[&v[0]] == nil { // it stands where data or unknown keywords do
		if err := g.schema(v, path, 2); err != nil {
			return err
		}
	}
	r.from.same = append(r.from.same, g.nodes[&v[0]])
	return nil
}

// find follows a JSON pointer (RFC 6901); nil when it leads nowhere.
func (g *schemaGuard) find(p string) (v []byte, path []string) {
	v = g.root
	if p == "" {
		return v, nil
	}
	for part := range strings.SplitSeq(p[1:], "/") {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		if o, ok := ParseObject(v); ok {
			v = o.Get(part)
		} else if el, ok := Elements(v); ok {
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(el) || strconv.Itoa(i) != part {
				return nil, nil
			}
			v = el[i]
		} else {
			return nil, nil
		}
		if v == nil {
			return nil, nil
		}
		path = append(path, part)
	}
	return v, path
}

func clipText(s string) string { return strings.ToValidUTF8(s[:min(len(s), 64)], "") }
