package jsonschema

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gatehouse"
)

type compiler struct {
	*Schema
	nodes     map[int32]*node
	patterns  map[string]*pattern
	weights   int
	resources map[string]*resource
	roots     map[int32]*resource
	anchors   map[anchor]int32
	pending   []reference
	draft7    bool
	err       error
}

// Compile makes a Schema of verified bytes; it keeps a copy. The error is an *Error jsonschema.too_large, .syntax,
// .subschemas, .depth, .keyword, .ref or .cycle, and its place is a JSON pointer.
func Compile(schema []byte, l Limits) (*Schema, error) {
	c := &compiler{
		Schema: &Schema{limits: l.withDefaults()}, nodes: map[int32]*node{}, patterns: map[string]*pattern{},
		resources: map[string]*resource{}, roots: map[int32]*resource{}, anchors: map[anchor]int32{},
	}
	if len(schema) > c.limits.Bytes {
		return nil, fault("#", "jsonschema.too_large", "describe less, or describe parts once and refer to them", "a schema of %d bytes; at most %d are read", len(schema), c.limits.Bytes)
	}
	if !c.doc.read(bytes.Clone(schema), len(schema)) {
		return nil, fault("#", "jsonschema.syntax", "check it with a JSON parser", "the schema is no JSON, is nested too deep or has a number beyond bounds")
	}
	switch strings.TrimSuffix(c.doc.text(0, "$schema"), "#") {
	case "http://json-schema.org/draft-07/schema", "http://json-schema.org/draft-06/schema", "http://json-schema.org/draft-04/schema":
		c.draft7 = true
	}
	c.root = c.schema(0, c.addResource(0, nil), 0)
	c.link()
	for _, i := range slices.Sorted(maps.Keys(c.nodes)) {
		if c.err == nil {
			c.acyclic(c.nodes[i])
		}
	}
	if c.err != nil {
		return nil, c.err
	}
	return c.Schema, nil
}

func fault(place, code, hint, format string, a ...any) error {
	return &gatehouse.Error{Code: code, Pos: gatehouse.Pos{File: place}, Msg: fmt.Sprintf(format, a...), Hint: hint}
}

// fail keeps the first fault; what is compiled after it does not matter.
func (c *compiler) fail(i int32, code, hint, format string, a ...any) {
	if c.err == nil {
		c.err = fault(c.doc.pointer(i), code, hint, format, a...)
	}
}

// wrong is a keyword whose value is not what it takes.
func (c *compiler) wrong(i int32, want string) {
	c.fail(i, "jsonschema.keyword", "write "+want, "the keyword takes %s, not %s", want, c.doc.show(i))
}

// schema compiles the schema at i, once. It never returns nil.
func (c *compiler) schema(i int32, in *resource, depth int) *node {
	if n := c.nodes[i]; n != nil {
		return n
	}
	n := &node{at: i}
	c.nodes[i] = n
	switch p := c.doc.parts[i]; {
	case c.err != nil:
	case len(c.nodes) > c.limits.Subschemas:
		c.fail(i, "jsonschema.subschemas", "describe less, or describe parts once and refer to them", "the schema has more than %d subschemas", c.limits.Subschemas)
	case depth > c.limits.Depth:
		c.fail(i, "jsonschema.depth", "move inner schemas to $defs and refer to them", "subschemas are nested deeper than %d", c.limits.Depth)
	case p.kind == boolean:
		n.never, n.always = c.doc.b[p.start] == 'f', c.doc.b[p.start] == 't'
	case p.kind != object:
		c.wrong(i, "a schema: an object, true or false")
	default:
		c.object(n, c.enter(i, in), depth+1)
	}
	return n
}

func (c *compiler) object(n *node, in *resource, depth int) {
	if ref := c.doc.get(n.at, "$ref"); ref > 0 && c.draft7 {
		c.refer(n, ref, in) // in draft-07 nothing beside a $ref counts but what it may refer to
		for _, name := range []string{"definitions", "$defs"} {
			if i := c.doc.get(n.at, name); i > 0 {
				c.members(i, func(_ string, i int32) { c.schema(i, in, depth) })
			}
		}
		return
	}
	k := keyword{compiler: c, n: n, in: in, depth: depth}
	c.doc.children(n.at, func(key, i int32) {
		k.i = i
		name := string(c.doc.str(key))
		_ = k.applies(name) || k.values(name) || k.arrays(name) || k.objects(name) // or it is unknown, and means nothing
	})
	n.always = n.types == 0 && n.enum == nil && n.constant == nil && n.number == nil && n.text == nil &&
		n.array == nil && n.object == nil && n.apply == nil
}

// acyclic refuses a schema that leads back to itself without a step into the value: it would never end.
func (c *compiler) acyclic(n *node) bool {
	const visiting, done = 1, 2
	switch n.visit {
	case visiting:
		c.fail(n.at, "jsonschema.cycle", "let each turn go through properties, items or another keyword that looks at a part of the value", "the schema refers back to itself for the same value")
		return false
	case done:
		return true
	}
	n.visit = visiting
	ok := n.apply == nil || n.apply.each(c.acyclic)
	n.visit = done
	return ok
}
