package jsonschema

import (
	"net/url"
	"strings"
)

// resource is a part of the document with an address of its own, which $id gives it. References in it begin there.
type resource struct {
	base *url.URL
	root int32
}

type anchor struct {
	in   *resource
	name string
}

// reference is a $ref of a node, followed once all addresses are known.
type reference struct {
	n  *node
	at int32
	in *resource
}

// addResource makes the place a resource under its address.
func (c *compiler) addResource(i int32, base *url.URL) *resource {
	if base == nil {
		base = &url.URL{}
	}
	r := &resource{base, i}
	if c.resources[base.String()] == nil {
		c.resources[base.String()] = r
	}
	c.roots[i] = r
	return r
}

// enter returns the resource that the schema at i is in, and notes its names.
func (c *compiler) enter(i int32, in *resource) *resource {
	id := c.doc.text(i, "$id")
	if c.draft7 && c.doc.get(i, "$ref") > 0 {
		return in
	}
	if name, ok := strings.CutPrefix(id, "#"); ok {
		c.anchors[anchor{in, name}] = i // until draft-07
	} else if id != "" {
		u, err := in.base.Parse(id)
		if err != nil {
			c.wrong(c.doc.get(i, "$id"), "an address")
			return in
		}
		u.Fragment = ""
		in = c.addResource(i, u)
	}
	for _, k := range []string{"$anchor", "$dynamicAnchor"} {
		if name := c.doc.text(i, k); name != "" {
			c.anchors[anchor{in, name}] = i
		}
	}
	return in
}

// refer notes that n refers to what the string at i says.
func (c *compiler) refer(n *node, i int32, in *resource) {
	if c.doc.parts[i].kind != text {
		c.wrong(i, "a string")
		return
	}
	n.applies()
	c.pending = append(c.pending, reference{n, i, in})
}

// link follows the references. A place that only a reference knows is compiled now, and may refer on.
func (c *compiler) link() {
	for k := 0; k < len(c.pending) && c.err == nil; k++ {
		r := c.pending[k]
		ref := string(c.doc.str(r.at))
		at, in := c.find(ref, r.in)
		if in == nil {
			c.fail(r.at, "jsonschema.ref", "write what is meant to $defs and refer to it as #/$defs/NAME; other documents are never fetched", "the reference %s leads nowhere in this schema", quote(ref))
			return
		}
		r.n.apply.refs = append(r.n.apply.refs, c.schema(at, in, 0))
	}
}

// find returns the place that a reference names and the resource it is in, nil when there is none.
func (c *compiler) find(ref string, in *resource) (int32, *resource) {
	u, err := in.base.Parse(ref)
	if err != nil {
		return 0, nil
	}
	fragment := u.Fragment
	if ref != "" && ref[0] != '#' {
		u.Fragment, u.RawFragment = "", ""
		in = c.resources[u.String()]
	}
	switch {
	case in == nil:
		return 0, nil
	case fragment == "":
		return in.root, in
	case fragment[0] != '/':
		at, ok := c.anchors[anchor{in, fragment}]
		if !ok {
			return 0, nil
		}
		return at, in
	}
	at := in.root
	for name := range strings.SplitSeq(fragment[1:], "/") {
		if strings.Contains(name, "~") {
			name = strings.ReplaceAll(strings.ReplaceAll(name, "~1", "/"), "~0", "~")
		}
		if at = c.step(at, name); at == 0 {
			return 0, nil
		}
		if r := c.roots[at]; r != nil {
			in = r
		}
	}
	return at, in
}

// step goes to the member or the element; 0 when there is none.
func (c *compiler) step(i int32, name string) int32 {
	if c.doc.parts[i].kind != array {
		return c.doc.get(i, name)
	}
	n, at := 0, int32(0)
	for _, d := range name {
		if n = n*10 + int(d-'0'); d < '0' || d > '9' || n > len(c.doc.parts) {
			return 0
		}
	}
	c.doc.children(i, func(_, val int32) {
		if n == 0 {
			at = val
		}
		n--
	})
	return at
}
