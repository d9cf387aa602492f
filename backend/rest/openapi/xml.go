package openapi

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"

	"gatehouse/wire"
)

// xmlName is what the xml member of a schema says (OpenAPI, "XML Object").
type xmlName struct {
	name, prefix, namespace string
	item                    string // what the elements of a list are called that does not wrap them, unless they say
	attribute, wrapped      bool
	content                 bool // the value is the text of its parent (nodeType text, since 3.2)
}

func (d *Doc) xmlName(n node, name string) xmlName {
	x := xmlName{item: name}
	for _, m := range d.reach(n) {
		o, _ := wire.ParseObject(m.raw)
		xo, ok := wire.ParseObject(o.Get("xml"))
		if !ok {
			continue
		}
		if x.name == "" {
			x.name = text(xo, "name")
			if x.name != "" && !x.isList(o) { // beside type array, a name is that of the wrapper alone
				x.item = x.name
			}
		}
		if x.namespace == "" {
			x.prefix, x.namespace = text(xo, "prefix"), text(xo, "namespace")
		}
		kind := text(xo, "nodeType")
		x.attribute = x.attribute || string(xo.Get("attribute")) == "true" || kind == "attribute"
		x.wrapped = x.wrapped || string(xo.Get("wrapped")) == "true" || kind == "element" && x.isList(o)
		x.content = x.content || kind == "text" || kind == "cdata" || string(xo.Get("x-text")) == "true"
	}
	if x.name == "" {
		x.name = name
	}
	if x.wrapped {
		x.item = x.name
	}
	return x
}

func (xmlName) isList(schema wire.Object) bool { return schema.Has("items") }

// reach is the schema and what it leads to by $ref and allOf, all of which describe the same value; the nearest first,
// for what they say of the value's name is the more particular.
func (d *Doc) reach(n node) []node {
	list := []node{n}
	for i := 0; i < len(list) && len(list) < 64; i++ {
		o, _ := wire.ParseObject(list[i].raw)
		if o.Has("$ref") {
			if m := d.behind(list[i]); m.f != list[i].f || !bytes.Equal(m.raw, list[i].raw) {
				list = append(list, m)
			}
		}
		all, _ := wire.Elements(o.Get("allOf"))
		for _, e := range all {
			list = append(list, node{list[i].f, e})
		}
	}
	return list
}

func (d *Doc) behind(n node) node {
	m, err := d.deref(n)
	if err != nil {
		return n
	}
	return m
}

func (x xmlName) qualified() string {
	if x.prefix != "" {
		return x.prefix + ":" + x.name
	}
	return x.name
}

// xml writes a body as XML by its schema. A string is taken for XML already.
func (p *Plan) xml(whole []byte, members wire.Object) ([]byte, error) {
	if s, ok := wire.Text(whole); ok {
		return []byte(s), nil
	}
	v := whole
	if v == nil {
		v = members.Bytes()
	}
	d := p.doc
	name := "root"
	o, _ := wire.ParseObject(p.body.schema.raw)
	if ref, ok := wire.Text(o.Get("$ref")); ok {
		name = ref[strings.LastIndexByte(ref, '/')+1:]
	}
	var b bytes.Buffer
	b.WriteString(xml.Header)
	x := d.xmlName(p.body.schema, name)
	x.attribute = false
	if err := d.element(&b, x, p.body.schema, v, 0); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// element writes one value as an element of the name x.
func (d *Doc) element(b *bytes.Buffer, x xmlName, n node, v []byte, depth int) error {
	if !xmlNameOK(x.qualified()) || depth > 64 {
		return fmt.Errorf("cannot be written as XML: %q is no element name", clip(x.qualified(), 64))
	}
	if el, ok := wire.Elements(v); ok {
		items := d.items(n)
		inner := d.xmlName(items, x.item)
		if x.wrapped {
			startTag(b, x, nil)
		}
		for _, e := range el {
			if err := d.element(b, inner, items, e, depth+1); err != nil {
				return err
			}
		}
		if x.wrapped {
			fmt.Fprintf(b, "</%s>", x.qualified())
		}
		return nil
	}
	o, isObject := wire.ParseObject(v)
	if !isObject {
		startTag(b, x, nil)
		if !wire.IsNull(v) {
			_ = xml.EscapeText(b, []byte(scalar(v)))
		}
		fmt.Fprintf(b, "</%s>", x.qualified())
		return nil
	}
	props := map[string]node{}
	steps := maxGather
	d.propertySchemas(props, n, 0, &steps)
	for _, m := range o {
		if _, have := props[m.Name]; !have {
			props[m.Name] = d.others(n)
		}
	}
	var attrs []wire.Member
	for _, m := range o {
		if y := d.xmlName(props[m.Name], m.Name); y.attribute && !wire.IsNull(m.Value) {
			if !xmlNameOK(y.qualified()) {
				return fmt.Errorf("cannot be written as XML: %q is no attribute name", clip(y.qualified(), 64))
			}
			attrs = append(attrs, wire.Member{Name: y.qualified(), Value: m.Value})
		}
	}
	startTag(b, x, attrs)
	for _, m := range o {
		y := d.xmlName(props[m.Name], m.Name)
		switch {
		case y.attribute || wire.IsNull(m.Value):
		case y.content:
			_ = xml.EscapeText(b, []byte(scalar(m.Value)))
		default:
			if err := d.element(b, y, props[m.Name], m.Value, depth+1); err != nil {
				return err
			}
		}
	}
	fmt.Fprintf(b, "</%s>", x.qualified())
	return nil
}

// startTag writes a start tag.
func startTag(b *bytes.Buffer, x xmlName, attrs []wire.Member) {
	fmt.Fprintf(b, "<%s", x.qualified())
	if x.namespace != "" {
		b.WriteString(" xmlns")
		if x.prefix != "" {
			b.WriteString(":" + x.prefix)
		}
		b.WriteString(`="`)
		_ = xml.EscapeText(b, []byte(x.namespace))
		b.WriteByte('"')
	}
	for _, a := range attrs {
		fmt.Fprintf(b, " %s=\"", a.Name)
		_ = xml.EscapeText(b, []byte(scalar(a.Value)))
		b.WriteByte('"')
	}
	b.WriteByte('>')
}

func (d *Doc) items(n node) node {
	for _, m := range d.reach(n) {
		o, _ := wire.ParseObject(m.raw)
		if o.Has("items") {
			return node{m.f, o.Get("items")}
		}
	}
	return node{n.f, nil}
}

// others is the schema of the members that an object does not declare.
func (d *Doc) others(n node) node {
	for _, m := range d.reach(n) {
		o, _ := wire.ParseObject(m.raw)
		if wire.IsObject(o.Get("additionalProperties")) {
			return node{m.f, o.Get("additionalProperties")}
		}
	}
	return node{n.f, nil}
}

// propertySchemas adds the schemas of an object's properties to out, those of its allOf and of its choices included.
// steps bounds the schemas that are looked at: choices of choices would be too many.
func (d *Doc) propertySchemas(out map[string]node, n node, depth int, steps *int) {
	if *steps--; *steps < 0 || depth > 4 || len(out) > 2000 {
		return
	}
	m := d.behind(n)
	o, _ := wire.ParseObject(m.raw)
	props, _ := wire.ParseObject(o.Get("properties"))
	for _, p := range props {
		if _, have := out[p.Name]; !have {
			out[p.Name] = node{m.f, p.Value}
		}
	}
	for _, list := range []string{"allOf", "anyOf", "oneOf"} {
		el, _ := wire.Elements(o.Get(list))
		for _, e := range el[:min(len(el), 20)] {
			d.propertySchemas(out, node{m.f, e}, depth+1, steps)
		}
	}
}

// xmlNameOK accepts the names that need no table of Unicode (XML 1.0 section 2.3).
func xmlNameOK(s string) bool {
	for i, r := range s {
		switch {
		case r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r > 0x7f:
		case i > 0 && (r == '-' || r == '.' || r == ':' || r >= '0' && r <= '9'):
		default:
			return false
		}
	}
	return s != ""
}
