package openapi

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"gatehouse/wire"
)

// mediaKind says how a body of a media type is written.
type mediaKind uint8

// The kinds of body, the preferred first.
const (
	noBody mediaKind = iota
	jsonBody
	formBody
	multipartBody
	textBody
	xmlBody
	binaryBody
)

// body is the request body of an operation.
type body struct {
	kind     mediaKind
	media    string   // Content-Type to send, without a boundary
	choices  []string // other content types of the same kind that the caller may name
	required bool
	schema   node
	props    []prop          // of a body whose members are arguments of their own, and of every form
	flat     bool            // members are arguments of their own
	encoding map[string]part // by property, of forms
	doc      []byte          // description
}

// prop is a member of a body.
type prop struct {
	name     string
	schema   node
	required bool
	binary   bool
}

// part says how a property of a form is written (OpenAPI, "Encoding Object").
type part struct {
	media    string
	styled   bool // style, explode or allowReserved is given
	style    string
	explode  bool
	reserved bool
}

// body reads the request body; nil when the operation has none.
func (d *Doc) body(x *Operation) (*body, error) {
	o, _ := wire.ParseObject(x.op.raw)
	raw := o.Get("requestBody")
	if raw == nil || wire.IsNull(raw) {
		return nil, nil
	}
	n, err := d.deref(node{x.op.f, raw})
	if err != nil {
		return nil, fmt.Errorf("the request body cannot be read: %w", err)
	}
	bo, _ := wire.ParseObject(n.raw)
	content, _ := wire.ParseObject(bo.Get("content"))
	if len(content) == 0 {
		return nil, nil
	}
	b := &body{required: string(bo.Get("required")) == "true", doc: bo.Get("description")}
	best := -1
	var bestNode node
	for i, m := range content {
		mn, err := d.deref(node{n.f, m.Value}) // components/mediaTypes since 3.2
		if err != nil {
			continue
		}
		mo, _ := wire.ParseObject(mn.raw)
		schema := mo.Get("schema")
		if schema == nil {
			schema = mo.Get("itemSchema")
		}
		k := d.kindOf(m.Name, node{mn.f, schema})
		if best < 0 || k < b.kind || k == b.kind && isJSON(m.Name) && !isJSON(content[best].Name) {
			best, b.kind, bestNode = i, k, mn
		}
	}
	if best < 0 {
		return nil, fmt.Errorf("the request body cannot be read: none of its media types")
	}
	mo, _ := wire.ParseObject(bestNode.raw)
	if s := mo.Get("schema"); s != nil {
		b.schema = node{bestNode.f, s}
	} else if s := mo.Get("itemSchema"); s != nil {
		b.schema = node{bestNode.f, s}
	}
	b.media = concrete(content[best].Name, b.kind)
	for _, m := range content {
		if b.kind == binaryBody && !strings.Contains(m.Name, "*") && strings.Contains(m.Name, "/") && d.kindOf(m.Name, b.schema) == b.kind {
			b.choices = append(b.choices, m.Name)
		}
	}
	b.encoding = d.encoding(mo.Get("encoding"))
	d.members(b)
	if t := d.typeOf(b.schema); b.kind == multipartBody && t != "" && t != "object" {
		return nil, fmt.Errorf("its multipart body is described as one value of the type %s, so its parts have no names", t)
	}
	return b, nil
}

// typeOf is the one type that a schema names; "" when it names none or several.
func (d *Doc) typeOf(n node) string {
	o, _ := wire.ParseObject(d.behind(n).raw)
	return kind(text(o, "type"))
}

// swaggerBody makes a body of the parameters in body or formData of Swagger 2.0.
func (d *Doc) swaggerBody(x *Operation, params []wire.Object, nodes []node) *body {
	if len(params) == 0 {
		return nil
	}
	o, _ := wire.ParseObject(x.op.raw)
	consumes, ok := wire.Elements(o.Get("consumes"))
	if !ok {
		consumes, _ = wire.Elements(d.top.Get("consumes"))
	}
	var media []string
	for _, c := range consumes {
		if s, ok := wire.Text(c); ok && s != "" {
			media = append(media, s)
		}
	}
	for i, p := range params {
		if text(p, "in") != "body" {
			continue
		}
		b := &body{required: string(p.Get("required")) == "true", schema: node{nodes[i].f, p.Get("schema")}, doc: p.Get("description"), kind: jsonBody, media: "application/json"}
		for j, m := range media {
			if k := d.kindOf(m, b.schema); j == 0 || k < b.kind || k == b.kind && isJSON(m) && !isJSON(b.media) {
				b.kind, b.media = k, concrete(m, k)
			}
		}
		d.members(b)
		return b
	}
	b := &body{kind: formBody, media: "application/x-www-form-urlencoded", encoding: map[string]part{}, flat: true}
	for _, m := range media {
		if strings.HasPrefix(m, "multipart/") {
			b.kind, b.media = multipartBody, m
		}
	}
	if slices.ContainsFunc(media, func(m string) bool { return strings.HasPrefix(m, "application/x-www-form-urlencoded") }) {
		b.kind, b.media = formBody, "application/x-www-form-urlencoded"
	}
	for i, p := range params {
		name := text(p, "name")
		x := prop{name: name, schema: nodes[i], required: string(p.Get("required")) == "true", binary: text(p, "type") == "file"}
		if x.binary && b.kind == formBody {
			b.kind, b.media = multipartBody, "multipart/form-data"
		}
		style, explode := collection(text(p, "collectionFormat"), "formData")
		b.encoding[name] = part{styled: true, style: style, explode: explode}
		b.required = b.required || x.required
		b.props = append(b.props, x)
	}
	return b
}

// kindOf tells how a body of this media type and schema is written.
func (d *Doc) kindOf(media string, schema node) mediaKind {
	base, _, _ := strings.Cut(strings.ToLower(media), ";")
	base = strings.TrimSpace(base)
	structured := d.structured(schema)
	switch {
	case isJSON(media), strings.HasSuffix(base, "+json"), base == "text/json", strings.HasPrefix(base, "application/json"), strings.HasPrefix(base, "applicationjson"):
		return jsonBody
	case base == "application/x-www-form-urlencoded":
		return formBody
	case strings.HasPrefix(base, "multipart/"):
		return multipartBody
	case base == "application/xml", base == "text/xml", strings.HasSuffix(base, "+xml"):
		return xmlBody
	case structured: // "*/*", YAML, a vendor's type: JSON is what its schema describes
		return jsonBody
	case strings.HasPrefix(base, "text/"), base == "application/jwt", base == "application/graphql", strings.HasSuffix(base, "yaml"), base == "application/x-ndjson", base == "application/ndjson", base == "application/javascript", base == "application/sql":
		return textBody
	}
	return binaryBody
}

func isJSON(media string) bool {
	base, _, _ := strings.Cut(strings.ToLower(media), ";")
	return strings.TrimSpace(base) == "application/json"
}

// structured reports whether a schema describes an object, a list or a number rather than text or bytes.
func (d *Doc) structured(n node) bool {
	n, err := d.deref(n)
	if err != nil {
		return false
	}
	o, ok := wire.ParseObject(n.raw)
	if !ok {
		return false
	}
	if t := o.Get("type"); t != nil {
		return !strings.Contains(string(t), `"string"`) && !strings.Contains(string(t), `"file"`)
	}
	return o.Has("properties") || o.Has("items") || o.Has("allOf") || o.Has("oneOf") || o.Has("anyOf") || o.Has("additionalProperties")
}

// concrete is the Content-Type to send for a media type or range.
func concrete(media string, k mediaKind) string {
	base, _, _ := strings.Cut(media, ";")
	base = strings.TrimSpace(base)
	if major, sub, ok := strings.Cut(base, "/"); ok && major != "" && sub != "" && !strings.Contains(base, "*") && printable(media) {
		return media
	}
	switch k {
	case jsonBody:
		return "application/json"
	case textBody:
		return "text/plain"
	case xmlBody:
		return "application/xml"
	case multipartBody:
		return "multipart/form-data"
	}
	return "application/octet-stream"
}

func (d *Doc) encoding(raw []byte) map[string]part {
	o, _ := wire.ParseObject(raw)
	out := make(map[string]part, len(o))
	for _, m := range o {
		e, _ := wire.ParseObject(m.Value)
		p := part{media: text(e, "contentType"), style: text(e, "style")}
		p.styled = e.Has("style") || e.Has("explode") || e.Has("allowReserved")
		if p.style == "" {
			p.style = "form"
		}
		p.explode = p.style == "form"
		if x := e.Get("explode"); x != nil {
			p.explode = string(x) == "true"
		}
		p.reserved = string(e.Get("allowReserved")) == "true"
		out[m.Name] = p
	}
	return out
}

// members finds the members of a body, and whether they can be arguments of their own.
func (d *Doc) members(b *body) {
	if b.kind == textBody || b.kind == binaryBody || b.schema.raw == nil {
		return
	}
	props, plain := d.plain(b.schema)
	for i := range props {
		if p := &props[i]; b.kind == multipartBody {
			p.binary = d.binary(p.schema, b.encoding[p.name], false)
		}
	}
	b.props = props
	needs := slices.ContainsFunc(props, func(p prop) bool { return p.required })
	b.flat = plain && len(props) > 0 && (b.required || !needs)
}

// members of an object schema, gathered over its allOf.
type gathered struct {
	props    []prop
	index    map[string]int
	required []string
	hidden   map[string]bool // read-only
	plain    bool
	steps    int
}

// maxGather bounds the schemas that are looked at for the properties of one, and maxBoth what several say of one property.
const (
	maxGather = 500
	maxBoth   = 64 << 10
)

// plain lists the properties of an object schema. ok says that nothing but them describes the value: then each can be an
// argument of its own.
func (d *Doc) plain(n node) (props []prop, ok bool) {
	g := &gathered{index: map[string]int{}, hidden: map[string]bool{}, plain: true}
	d.gather(g, n, 0)
	for _, name := range g.required {
		if i, have := g.index[name]; have {
			g.props[i].required = true
		} else if !g.hidden[name] {
			g.add(prop{name: name, required: true, schema: node{n.f, []byte("{}")}})
		}
	}
	return g.props, g.plain
}

func (g *gathered) add(p prop) {
	i, have := g.index[p.name]
	if !have {
		g.index[p.name] = len(g.props)
		g.props = append(g.props, p)
		return
	}
	if q := &g.props[i]; len(q.schema.raw)+len(p.schema.raw) > maxBoth {
		g.plain = false
	} else if q.schema.f == p.schema.f && string(q.schema.raw) != string(p.schema.raw) {
		both := append(append(append(append([]byte(`{"allOf":[`), q.schema.raw...), ','), p.schema.raw...), "]}"...)
		q.schema = node{p.schema.f, both}
	}
}

func (d *Doc) gather(g *gathered, n node, depth int) {
	n, err := d.deref(n)
	o, isObject := wire.ParseObject(n.raw)
	if g.steps++; err != nil || !isObject || depth > 16 || g.steps > maxGather || len(g.props) > 2000 {
		g.plain = false
		return
	}
	for _, m := range o {
		switch m.Name {
		case "type":
			el, isList := wire.Elements(m.Value)
			if s, _ := wire.Text(m.Value); s != "object" && !(isList && len(el) == 1 && string(el[0]) == `"object"`) {
				g.plain = false
			}
		case "allOf":
			el, _ := wire.Elements(m.Value)
			for _, e := range el {
				d.gather(g, node{n.f, e}, depth+1)
			}
		case "properties":
			ps, isObject := wire.ParseObject(m.Value)
			g.plain = g.plain && isObject
			for _, p := range ps {
				if d.marked(node{n.f, p.Value}, "readOnly") {
					g.hidden[p.Name] = true
					continue
				}
				g.add(prop{name: p.Name, schema: node{n.f, p.Value}})
			}
		case "required":
			el, _ := wire.Elements(m.Value)
			for _, e := range el {
				if s, ok := wire.Text(e); ok && s != "" {
					g.required = append(g.required, s)
				}
			}
		case "additionalProperties":
			g.plain = g.plain && string(m.Value) == "false"
		case "title", "description", "example", "examples", "xml", "externalDocs", "discriminator", "deprecated", "default", "readOnly", "writeOnly", "format", "$schema", "$id", "$comment":
		case "nullable":
			g.plain = g.plain && string(m.Value) != "true"
		default:
			g.plain = g.plain && strings.HasPrefix(m.Name, "x-")
		}
	}
}

// marked reports whether a schema, or what it refers to, is readOnly or writeOnly.
func (d *Doc) marked(n node, flag string) bool {
	if !bytes.Contains(n.raw, []byte(flag)) && !bytes.Contains(n.raw, []byte(`"$ref"`)) {
		return false
	}
	o, _ := wire.ParseObject(n.raw)
	if string(o.Get(flag)) == "true" {
		return true
	}
	ref, ok := wire.Text(o.Get("$ref"))
	if !ok {
		return false
	}
	place, frag, _ := strings.Cut(ref, "#")
	f := n.f
	if place != "" {
		g, err := d.open(f, place)
		if err != nil {
			return false
		}
		f = g
	}
	t, _ := f.lookup(frag)
	return flag == "readOnly" && t.readOnly || flag == "writeOnly" && t.writeOnly
}

// binary reports whether a property of a multipart form is sent as bytes: a file.
func (d *Doc) binary(n node, e part, item bool) bool {
	n, err := d.deref(n)
	o, ok := wire.ParseObject(n.raw)
	if err != nil || !ok {
		return false
	}
	if items := o.Get("items"); items != nil {
		return !item && d.binary(node{n.f, items}, e, true)
	}
	t := string(o.Get("type"))
	switch {
	case t == `"file"`, text(o, "format") == "binary":
		return true
	case d.Revision >= "3.1" && (t == "" || strings.Contains(t, `"string"`)):
		if o.Has("contentMediaType") && !o.Has("contentEncoding") {
			return true
		}
		return t == "" && !d.structured(n) && !o.Has("enum") && !o.Has("const")
	}
	return t == "" && len(o) == 0 && (strings.HasPrefix(e.media, "image/") || strings.HasPrefix(e.media, "application/octet-stream"))
}

func printable(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] >= 0x7f {
			return false
		}
	}
	return s != ""
}
