package openapi

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gatehouse"
	"gatehouse/wire"
)

// Plan is how a call of one operation becomes a request. It is immutable and safe for concurrent use.
type Plan struct {
	Op       *Operation
	Input    []byte   // JSON Schema 2020-12 of the arguments: an object without further members
	Output   []byte   // JSON Schema of the answer; loose: nothing is required, null is accepted everywhere; nil when no JSON is declared
	Args     []Arg    // where each argument goes
	Base     string   // URL of the server in force, its variables filled in; relative when the document says so; "" when it says nothing
	OwnBase  bool     // Base is the operation's or its path's own
	Accept   string   // for the header Accept
	Media    string   // content type of the body; "" when there is none
	Security [][]Need // alternatives, each a set of schemes; empty when no credential is needed
	Warnings []string

	doc    *Doc
	path   []segment
	query  []segment // of a query written into the path
	params []bound
	body   *body
	member [][]string // by index of body.props: the path of its argument
	whole  []string   // path of the argument that is the whole body
	choice []string   // path of the argument that names the content type
}

// Arg is one argument and where it goes.
type Arg struct {
	Path     []string // members from the root of the arguments
	In       string   // path, query, header, cookie or body
	Name     string   // on the wire; "" is the whole body or the whole query string
	Required bool
	Binary   bool // base64 in the arguments, bytes on the wire
}

// Need is one security scheme that must be satisfied.
type Need struct {
	Scheme string
	Scopes []string
}

// bound is a parameter and the argument it comes from.
type bound struct {
	param
	path []string
}

// segment is a piece of a path template: text, or a parameter by index.
type segment struct {
	text  string
	param int // -1 for text
}

// entry is one argument while they are laid out.
type entry struct {
	arg    Arg
	schema func(c *converter) []byte
	bind   func(path []string)
}

// Plan looks at an operation closely. The error is a *gatehouse.Error that says why it cannot be called.
func (d *Doc) Plan(x *Operation) (*Plan, error) {
	fail := func(err error) (*Plan, error) {
		return nil, &gatehouse.Error{
			Code: CodeOperation, Pos: gatehouse.Pos{File: d.root.place}, Msg: fmt.Sprintf("%s %s: %v", x.Method, x.Path, err),
			Hint: "correct the document, or exclude the operation",
		}
	}
	p := &Plan{Op: x, doc: d}
	params, swBody, swNodes, warn, err := d.params(x)
	if err != nil {
		return fail(err)
	}
	p.Warnings = warn
	if d.Revision == "2.0" {
		p.body = d.swaggerBody(x, swBody, swNodes)
	} else if p.body, err = d.body(x); err != nil {
		return fail(err)
	}
	if params, err = p.template(params); err != nil {
		return fail(err)
	}
	p.params = make([]bound, len(params))
	for i := range params {
		p.params[i].param = params[i]
	}
	entries := p.entries()
	layout := place(entries)
	for level := range levels {
		c := d.converter(false, level)
		p.Input = p.input(c, entries, layout)
		if len(p.Input) <= d.opt.MaxSchema || level == len(levels)-1 {
			if c.cut {
				p.Warnings = append(p.Warnings, "deep parts of the schema are left open")
			}
			if c.dropped > 0 {
				p.Warnings = append(p.Warnings, fmt.Sprintf("%d patterns are left out: not every client can read them", c.dropped))
			}
			break
		}
	}
	for i, e := range entries {
		e.arg.Path = layout[i]
		p.Args = append(p.Args, e.arg)
		e.bind(layout[i])
	}
	if p.body != nil {
		p.Media = p.body.media
	}
	p.response()
	p.security()
	p.server()
	return p, nil
}

var braces = regexp.MustCompile(`\{([^{}/]*)\}`)

// template splits the path, and adds a parameter for each name that no parameter declares.
func (p *Plan) template(params []param) ([]param, error) {
	path, _, _ := strings.Cut(p.Op.Path, "#") // a fragment is never sent (RFC 9110 section 4.2.5)
	path, query, hasQuery := strings.Cut(path, "?")
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	find := func(name string, in ...string) int {
		return slices.IndexFunc(params, func(q param) bool { return q.name == name && slices.Contains(in, q.in) })
	}
	used := map[int]bool{}
	split := func(s string) (out []segment) {
		for s != "" {
			m := braces.FindStringSubmatchIndex(s)
			if m == nil {
				return append(out, segment{literal(s), -1})
			}
			if m[0] > 0 {
				out = append(out, segment{literal(s[:m[0]]), -1})
			}
			name := s[m[2]:m[3]]
			i := find(name, "path")
			if i < 0 {
				if bare := strings.Trim(name, "+*:. "); bare != name && bare != "" { // forms of RFC 6570 that OpenAPI has not
					i = find(bare, "path")
					name = bare
				}
			}
			if i < 0 && name != "" {
				i = len(params)
				params = append(params, param{name: name, in: "path", style: "simple", required: true, schema: node{p.doc.root, []byte(`{"type":"string"}`)}})
				p.Warnings = append(p.Warnings, fmt.Sprintf("path parameter %s is not declared; it is taken for a string", name))
			}
			if i < 0 {
				out = append(out, segment{literal(s[m[0]:m[1]]), -1})
			} else {
				used[i] = true
				out = append(out, segment{"", i})
			}
			s = s[m[1]:]
		}
		return out
	}
	p.path = split(path)
	for _, s := range strings.Split(path, "/") {
		if s == "." || s == ".." {
			return nil, fmt.Errorf("its path has a segment %q", s)
		}
	}
	if hasQuery {
		var kept []string
		for _, pair := range strings.Split(query, "&") {
			m := braces.FindStringSubmatch(pair)
			if m != nil && find(m[1], "query") >= 0 && find(m[1], "path") < 0 {
				continue // the query parameter writes it
			}
			if pair != "" {
				kept = append(kept, pair)
			}
		}
		p.query = split(strings.Join(kept, "&"))
	}
	out := params[:0]
	shift := make([]int, len(params))
	for i, q := range params {
		shift[i] = len(out)
		if q.in == "path" && !used[i] {
			p.Warnings = append(p.Warnings, fmt.Sprintf("path parameter %s does not occur in the path", q.name))
			continue
		}
		out = append(out, q)
	}
	for _, list := range [][]segment{p.path, p.query} {
		for i := range list {
			if list[i].param >= 0 {
				list[i].param = shift[list[i].param]
			}
		}
	}
	return out, nil
}

// literal escapes what may not stand in a path or query as it is.
func literal(s string) string {
	var out []byte
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]), unreserved(c), strings.IndexByte("/!$&'()*+,;=:@?", c) >= 0:
			out = append(out, c)
		default:
			out = append(out, '%', hexUpper[c>>4], hexUpper[c&15])
		}
	}
	return string(out)
}

// entries lists the arguments of the operation: its parameters, then its body.
func (p *Plan) entries() []entry {
	var out []entry
	for i := range p.params {
		q := &p.params[i]
		in := q.in
		name := q.name
		if in == "querystring" {
			in, name = "query", ""
		}
		out = append(out, entry{
			arg: Arg{In: in, Name: name, Required: q.required},
			schema: func(c *converter) []byte {
				return described(c.schema(q.schemaOr(), at{}), q.description, q.deprecated)
			},
			bind: func(path []string) { q.path = path },
		})
	}
	b := p.body
	if b == nil {
		return out
	}
	if !b.flat {
		out = append(out, entry{
			arg:    Arg{In: "body", Required: b.required, Binary: b.kind == binaryBody},
			schema: func(c *converter) []byte { return described(p.wholeSchema(c), b.doc, false) },
			bind:   func(path []string) { p.whole = path },
		})
	} else {
		p.member = make([][]string, len(b.props))
	}
	if b.flat {
		for i := range b.props {
			m := &b.props[i]
			out = append(out, entry{
				arg:    Arg{In: "body", Name: m.name, Required: m.required, Binary: m.binary},
				schema: func(c *converter) []byte { return p.memberSchema(c, m) },
				bind:   func(path []string) { p.member[i] = path },
			})
		}
	}
	if len(b.choices) > 1 {
		out = append(out, entry{
			arg: Arg{In: "header", Name: "Content-Type"},
			schema: func(*converter) []byte {
				return wire.Object{
					{Name: "enum", Value: stringList(b.choices)},
					{Name: "description", Value: wire.String("content type of the body; without it " + b.media)},
				}.Bytes()
			},
			bind: func(path []string) { p.choice = path },
		})
	}
	return out
}

func (q *param) schemaOr() node {
	if q.schema.raw == nil {
		return node{raw: []byte(`{"type":"string"}`)}
	}
	return q.schema
}

// fileSchema is an argument whose bytes are sent: base64, or an object that also names the file.
var fileSchema = []byte(`{"anyOf":[{"type":"string","contentEncoding":"base64"},{"type":"object","properties":{"data":{"type":"string","contentEncoding":"base64"},` +
	`"uri":{"type":"string","description":"instead of data: a data: URI or a resource of this server"},"filename":{"type":"string"},"mimeType":{"type":"string"}},` +
	`"additionalProperties":false}],"description":"the file, in base64"}`)

func (p *Plan) memberSchema(c *converter, m *prop) []byte {
	if !m.binary {
		return c.schema(m.schema, at{})
	}
	n, _ := p.doc.deref(m.schema)
	o, _ := wire.ParseObject(n.raw)
	if o.Has("items") {
		return described(append(append([]byte(`{"type":"array","items":`), fileSchema...), '}'), o.Get("description"), false)
	}
	return described(fileSchema, o.Get("description"), false)
}

// wholeSchema is the schema of a body that is one argument.
func (p *Plan) wholeSchema(c *converter) []byte {
	b := p.body
	switch {
	case b.kind == binaryBody:
		return fileSchema
	case b.schema.raw == nil && b.kind == textBody:
		return []byte(`{"type":"string"}`)
	case b.schema.raw == nil:
		return []byte("{}")
	case b.kind == multipartBody && slices.ContainsFunc(b.props, func(m prop) bool { return m.binary }):
		out := wire.Object{{Name: "type", Value: []byte(`"object"`)}}
		var props wire.Object
		var req []string
		for i := range b.props {
			m := &b.props[i]
			props = append(props, wire.Member{Name: m.name, Value: p.memberSchema(c, m)})
			if m.required {
				req = append(req, m.name)
			}
		}
		out = append(out, wire.Member{Name: "properties", Value: props.Bytes()})
		if req != nil {
			out = append(out, wire.Member{Name: "required", Value: stringList(req)})
		}
		return out.Bytes()
	}
	return c.schema(b.schema, at{})
}

// described puts a description from beside the schema into it.
func described(schema, doc []byte, deprecated bool) []byte {
	text := short(doc, 500)
	if text == nil && !deprecated {
		return schema
	}
	o, ok := wire.ParseObject(schema)
	if !ok {
		if string(schema) != "true" {
			return schema
		}
		o = wire.Object{}
	}
	if text != nil {
		o = o.Set("description", text)
	}
	if deprecated {
		o = o.Set("deprecated", []byte("true"))
	}
	return o.Bytes()
}

var argName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// argument makes a name fit what clients take for members of arguments.
func argument(name string) string {
	if argName.MatchString(name) {
		return name
	}
	s := letters(name, "_.-")
	if s == "" || len(s) > 64 {
		h := sha256.Sum256([]byte(name))
		s = strings.Trim(s[:min(len(s), 50)]+"_"+hex.EncodeToString(h[:4]), "_")
	}
	return s
}

// place gives each entry its path: a name of its own where it is the only one, else inside a group named after its place.
func place(entries []entry) [][]string {
	flat := make([]string, len(entries))
	for i, e := range entries {
		switch {
		case e.arg.Name != "":
			flat[i] = argument(e.arg.Name)
		case e.arg.In == "body":
			flat[i] = "body"
		default:
			flat[i] = "querystring"
		}
	}
	grouped := make([]bool, len(entries))
	for again := true; again; {
		again = false
		count := map[string]int{}
		for i := range entries {
			if !grouped[i] {
				count[flat[i]]++
			}
		}
		for i := range entries {
			if grouped[i] {
				count[entries[i].arg.In]++ // the group takes that name
			}
		}
		for i := range entries {
			clash := !grouped[i] && count[flat[i]] > 1
			if clash && entries[i].arg.Name == "" && !slices.ContainsFunc(entries, func(e entry) bool { return e.arg.In == entries[i].arg.In && e.arg.Name != "" }) {
				continue // a whole body stays "body"; what clashes with it moves
			}
			if clash {
				grouped[i], again = true, true
			}
		}
	}
	out := make([][]string, len(entries))
	for i, e := range entries {
		if !grouped[i] {
			out[i] = []string{flat[i]}
			continue
		}
		name := e.arg.Name
		if name == "" {
			name = flat[i]
		}
		out[i] = []string{e.arg.In, name}
	}
	return out
}

// input writes the schema of the arguments.
func (p *Plan) input(c *converter, entries []entry, layout [][]string) []byte {
	type group struct {
		props    wire.Object
		required []string
	}
	root := &group{}
	groups := map[string]*group{}
	for i, e := range entries {
		g, name := root, layout[i][0]
		if len(layout[i]) == 2 {
			if groups[name] == nil {
				groups[name] = &group{}
				root.props = append(root.props, wire.Member{Name: name})
			}
			g, name = groups[name], layout[i][1]
		}
		g.props = append(g.props, wire.Member{Name: name, Value: e.schema(c)})
		if e.arg.Required {
			g.required = append(g.required, name)
		}
	}
	write := func(g *group) wire.Object {
		o := wire.Object{{Name: "type", Value: []byte(`"object"`)}, {Name: "properties", Value: g.props.Bytes()}}
		if len(g.required) > 0 {
			o = append(o, wire.Member{Name: "required", Value: stringList(g.required)})
		}
		return append(o, wire.Member{Name: "additionalProperties", Value: []byte("false")})
	}
	for i := range root.props {
		if g := groups[root.props[i].Name]; g != nil && root.props[i].Value == nil {
			root.props[i].Value = write(g).Bytes()
			if len(g.required) > 0 {
				root.required = append(root.required, root.props[i].Name)
			}
		}
	}
	return c.finish(write(root))
}
