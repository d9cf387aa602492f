package expect

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// content is what the body of a request must hold.
type content struct {
	media    string
	optional bool
	json     *any
	form     []pair
	isForm   bool
	parts    []formPart
	multi    bool
	xml      *node
	bytes    *string
	leaves   []string // the form is open
}

// formPart is one part of a multipart body.
type formPart struct {
	name  string
	types []string // acceptable media types; ranges allowed
	file  bool
	bytes *string
	json  *any
	xml   *node
	loose []string
	free  bool // the type is not said
}

// prepare tells the generator what the media type can hold.
func (b *Body) prepare(g *gen) {
	switch {
	case isJSON(b.Media):
	case isMultipart(b.Media):
		g.files = true
		if ps, err := g.d.every(b.Schemas); err == nil && g.d.kinds(ps) == nil && !hasChoice(ps) {
			b.Schemas = append(slices.Clone(b.Schemas), at{b.content.f, map[string]any{"type": "object"}}) // parts have names
		}
	case bare(b.Media) == "application/x-www-form-urlencoded":
		for _, e := range b.content.get("encoding").object() {
			if m, _ := e.(map[string]any); m["allowReserved"] == true {
				g.alphabet.without = "&=+#[]%,"
			}
		}
		g.alphabet.without += "[]|"
	case isXML(b.Media):
		g.alphabet.without = "\x00"
	default:
		// Content of any other type is bytes unless its schema makes it text; text/* is text anyway.
		kind := "string"
		if !strings.HasPrefix(bare(b.Media), "text/") {
			g.files, kind = true, "file"
		}
		if ps, err := g.d.every(b.Schemas); err == nil && g.d.kinds(ps) == nil && g.choose(nil, ps) == "" && !hasChoice(ps) {
			b.Schemas = []at{{b.content.f, map[string]any{"type": kind}}}
		}
	}
}

func hasChoice(ps []part) bool {
	return anyPart(ps, func(p part) bool { return p.get("oneOf").is() || p.get("anyOf").is() })
}

// JSON is the shortest text of a value.
func JSON(v any) []byte { return compact(v) }

func compact(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
	return bytes.TrimSpace(b.Bytes())
}

func (op *Operation) bodyWant(b *Body, v any) *content {
	c := &content{media: b.Media, optional: b.Optional}
	text, isText := scalar(v)
	d := op.doc.d
	switch {
	case isJSON(b.Media):
		v = Argument(v, false)
		c.json = &v
	case bare(b.Media) == "application/x-www-form-urlencoded":
		c.isForm = true
		if _, is := v.(map[string]any); !is {
			c.leaves = append(leaves(v), "")
			break
		}
		pairs, open := b.fieldsOf(v, op)
		c.form = pairs
		for _, l := range open {
			c.leaves = append(append(c.leaves, l.leaves...), "")
		}
	case isMultipart(b.Media):
		c.multi = true
		if !op.multipart(b, c, v) {
			c.multi = false
			c.leaves = leaves(Argument(v, false))
		}
	case isXML(b.Media):
		if root, ok := d.document(b.Schemas, v); ok {
			c.xml = root
		} else {
			c.leaves = leaves(v)
		}
	case isText && kindOf(v) == "string":
		c.bytes = &text
	default:
		c.leaves = leaves(Argument(v, false))
	}
	return c
}

func (b *Body) fieldsOf(v any, op *Operation) ([]pair, []loose) {
	if b.form != nil {
		var out []pair
		var open []loose
		m, _ := v.(map[string]any)
		for _, q := range b.form {
			x, have := m[q.Name]
			if !have {
				continue
			}
			pairs, defined := q.query(x, true)
			if _, file := x.(Bytes); !defined || file {
				open = append(open, loose{"body", q.Name, nil})
				continue
			}
			out = append(out, pairs...)
		}
		return out, open
	}
	return b.fields(v, op.from.f)
}

// fields are the names and values of a form: by style where the encoding names one, else by content type.
func (b *Body) fields(v any, f *file) (out []pair, open []loose) {
	m, _ := v.(map[string]any)
	for _, k := range keys(m) {
		x := m[k]
		enc := b.content.get("encoding").get(k)
		if x == nil {
			continue
		}
		if enc.get("style").is() || enc.get("explode").is() || enc.get("allowReserved").is() {
			q := &Param{In: "query", Name: k, Schemas: []at{{f, map[string]any{}}}}
			q.style(enc)
			pairs, defined := q.query(Argument(x, false), false)
			if !defined {
				open = append(open, loose{"body", k, leaves(x)})
			}
			out = append(out, pairs...)
			continue
		}
		items, isArray := x.([]any)
		if !isArray {
			items = []any{x}
		}
		for _, it := range items {
			p, defined := field(k, it, enc.get("contentType").text(), isArray)
			if !defined {
				open = append(open, loose{"body", k, leaves(it)})
				continue
			}
			out = append(out, p)
		}
	}
	return out, open
}

// field is one value of a form by its content type; the default is text for primitives and JSON for the rest.
func field(name string, v any, media string, inArray bool) (pair, bool) {
	text, isText := scalar(v)
	_, isArray := v.([]any)
	_, isBytes := v.(Bytes)
	switch {
	case isJSON(media):
		return pair{name: name, json: &v}, true
	case v == nil, isBytes, inArray && isArray && media == "":
		return pair{}, false // an array within an array: the versions differ
	case isText && (media == "" || !isXML(media)):
		return pair{name: name, value: text}, true
	case !isText && media == "":
		return pair{name: name, json: &v}, true
	}
	return pair{}, false
}

// multipart makes the parts; false when their form is open as a whole.
func (op *Operation) multipart(b *Body, c *content, v any) bool {
	d := op.doc.d
	m, isObject := v.(map[string]any)
	if !isObject || bare(b.Media) != "multipart/form-data" {
		return false
	}
	if b.content.get("prefixEncoding").is() || b.content.get("itemEncoding").is() {
		return false
	}
	declared := map[string][]at{}
	if ps, err := d.every(b.Schemas); err == nil {
		declared = properties(ps)
	}
	for _, k := range keys(m) {
		if m[k] == nil {
			continue
		}
		if b.form != nil {
			part2(b, c, k, m[k])
			continue
		}
		enc := b.content.get("encoding").get(k)
		styled := d.modern && (enc.get("style").is() || enc.get("explode").is() || enc.get("allowReserved").is())
		items, isArray := m[k].([]any)
		if styled && bare(b.Media) == "multipart/form-data" {
			q := &Param{In: "query", Name: k}
			q.style(enc)
			q.Reserved = false
			pairs, defined := q.query(m[k], false)
			if _, file := m[k].(Bytes); !defined || file {
				c.parts = append(c.parts, formPart{name: k, loose: leaves(Argument(m[k], false)), free: true})
				continue
			}
			for _, p := range pairs {
				value := p.value
				if p.list != nil {
					value = strings.Join(p.list, p.delim)
				}
				c.parts = append(c.parts, formPart{name: p.name, bytes: &value, free: true})
			}
			continue
		}
		schema := declared[k]
		if !isArray {
			c.parts = append(c.parts, d.onePart(k, m[k], schema, enc, false))
			continue
		}
		var itemSchema []at
		for _, s := range schema {
			if ps, err := d.parts(s); err == nil {
				for _, p := range ps {
					if it := p.get("items"); it.object() != nil {
						itemSchema = append(itemSchema, it)
					}
				}
			}
		}
		for _, it := range items {
			if it != nil {
				c.parts = append(c.parts, d.onePart(k, it, itemSchema, enc, true))
			}
		}
	}
	return true
}

// onePart is one value as a part: its type is the encoding's, else the default for the kind of value.
func (d dialect) onePart(name string, v any, schema []at, enc at, inArray bool) formPart {
	p := formPart{name: name}
	said := enc.get("contentType").text()
	if said != "" {
		for _, t := range strings.Split(said, ",") {
			p.types = append(p.types, strings.TrimSpace(t))
		}
	}
	ps, _ := d.every(schema)
	text, isText := scalar(v)
	_, isBytes := v.(Bytes)
	encoded := anyPart(ps, func(p part) bool {
		return p.get("contentEncoding").text() != "" || !d.modern && p.get("format").text() == "byte"
	})
	switch {
	case isBytes:
		p.bytes, p.file = &text, true
		if said == "" {
			p.types = []string{"application/octet-stream", "*/*"}
		}
	case isText && slices.ContainsFunc(p.types, isJSON):
		p.json = &v
	case isText:
		p.bytes = &text
		if said == "" {
			p.types = []string{"text/plain"}
			if encoded || d.kinds(ps) == nil {
				p.types = []string{"application/octet-stream"}
				p.free = true
			}
		}
	case v == nil:
		p.free, p.loose = true, []string{}
	default:
		v = Argument(v, false)
		_, isArray := v.([]any)
		switch {
		case slices.ContainsFunc(p.types, isXML):
			if root, ok := d.document(schema, v); ok {
				p.xml = root
			} else {
				p.loose = leaves(v)
			}
		case said == "" && !(isArray && inArray && !d.node), slices.ContainsFunc(p.types, isJSON):
			p.json = &v
			if said == "" {
				p.types = []string{"application/json"}
			}
		default:
			p.loose, p.free = leaves(v), true
		}
	}
	return p
}

// part2 is a formData parameter of 2.0 as a part.
func part2(b *Body, c *content, name string, v any) {
	i := slices.IndexFunc(b.form, func(q *Param) bool { return q.Name == name })
	if i < 0 {
		return
	}
	q := b.form[i]
	if text, is := v.(Bytes); is {
		s := string(text)
		c.parts = append(c.parts, formPart{name: name, bytes: &s, file: true, types: []string{"*/*"}})
		return
	}
	pairs, defined := q.query(v, true)
	if !defined {
		c.parts = append(c.parts, formPart{name: name, loose: leaves(v), free: true})
		return
	}
	for _, p := range pairs {
		value := p.value
		if p.list != nil {
			value = strings.Join(p.list, p.delim)
		}
		c.parts = append(c.parts, formPart{name: name, bytes: &value, types: []string{"text/plain"}})
	}
}
