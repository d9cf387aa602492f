package expect

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Document is one OpenAPI document as its text stands.
type Document struct {
	Revision   string // 2.0, 3.0, 3.1, 3.2
	Operations []*Operation
	root       at
	d          dialect
}

// Operation is one method of one path.
type Operation struct {
	Method, Path string
	Params       []*Param
	Body         *Body
	Base         string     // URL of the server in force, variables filled with their defaults; "" when there is none
	Security     [][]string // alternatives, each the names of its schemes in order
	Fault        string     // why no request can be said for it
	doc          *Document
	from         at
}

// Param is a parameter in force for the operation.
type Param struct {
	In, Name string // In is path, query, querystring, header or cookie
	Required bool
	Schemas  []at
	Media    string // media type of a content parameter
	Style    string
	Explode  bool
	Reserved bool   // allowReserved
	Note     string // not "" when OpenAPI does not say how it is sent; then it is held to nothing
	content  at
}

// Body is the media type of the body that a client which prefers JSON chooses.
type Body struct {
	Media    string
	Schemas  []at
	Required bool
	Optional bool // the method gives a body no meaning: leaving it out is right too
	form     []*Param
	others   []*Body // the media types that are not preferred
	content  at
}

// Methods are the fixed fields of a Path Item that hold operations.
func methods(revision string) []string {
	m := []string{"get", "put", "post", "delete", "options", "head", "patch"}
	if revision != "2.0" {
		m = append(m, "trace")
	}
	if revision == "3.2" {
		m = append(m, "query")
	}
	return m
}

// Read reads a document and finds its operations.
func Read(place string, b []byte, files *Files) (*Document, error) {
	root, err := decode(b)
	if err != nil {
		return nil, err
	}
	files.have = map[string]any{place: root}
	doc := &Document{root: at{&file{files, place, root}, root}}
	switch v := fmt.Sprint(doc.root.get("openapi").v); {
	case doc.root.get("swagger").is():
		doc.Revision = "2.0"
	case strings.HasPrefix(v, "3.0"), strings.HasPrefix(v, "3.1"), strings.HasPrefix(v, "3.2"):
		doc.Revision = v[:3]
	default:
		return nil, errors.New("neither swagger nor openapi 3")
	}
	fuel := enough
	doc.d = dialect{nullable: doc.Revision == "3.0", siblings: doc.Revision > "3.0", modern: doc.Revision > "3.0", node: doc.Revision == "3.2", patterns: map[string]compiled{}, fuel: &fuel}
	paths := doc.root.get("paths")
	for _, p := range keys(paths.object()) {
		if !strings.HasPrefix(p, "/") {
			continue
		}
		doc.item(p, paths.get(p))
	}
	return doc, nil
}

func (doc *Document) item(path string, written at) {
	item, err := written.follow()
	if err != nil || item.object() == nil {
		return
	}
	for _, m := range methods(doc.Revision) {
		op := item.get(m)
		if w := written.get(m); w.object() != nil {
			op = w // a field beside $ref
		}
		if op.object() != nil {
			doc.operation(strings.ToUpper(m), path, item, op)
		}
	}
	if doc.Revision == "3.2" {
		more := item.get("additionalOperations")
		for _, m := range keys(more.object()) {
			doc.operation(m, path, item, more.get(m))
		}
	}
}

func (doc *Document) operation(method, path string, item, from at) {
	op := &Operation{Method: method, Path: path, doc: doc, from: from}
	doc.Operations = append(doc.Operations, op)
	op.Base = doc.base(item, from)
	op.security()
	if err := op.parameters(item); err != nil {
		op.Fault = err.Error()
		return
	}
	if doc.Revision > "2.0" {
		if err := op.body3(); err != nil {
			op.Fault = err.Error()
		}
	}
}

func (op *Operation) security() {
	s := op.from.get("security")
	if !s.is() {
		s = op.doc.root.get("security")
	}
	for _, alt := range s.each() {
		op.Security = append(op.Security, keys(alt.object()))
	}
}

// base is the server of the operation, else of the path, else of the document.
func (doc *Document) base(item, op at) string {
	if doc.Revision == "2.0" {
		host, base := doc.root.get("host").text(), doc.root.get("basePath").text()
		if host == "" {
			return base
		}
		schemes := op.get("schemes")
		if !schemes.is() {
			schemes = doc.root.get("schemes")
		}
		scheme := "https"
		if l := schemes.each(); len(l) > 0 && !slices.ContainsFunc(l, func(a at) bool { return a.text() == "https" }) {
			scheme = l[0].text()
		}
		return scheme + "://" + host + base
	}
	for _, a := range []at{op, item, doc.root} {
		if servers := a.get("servers").each(); len(servers) > 0 {
			url := servers[0].get("url").text()
			vars := servers[0].get("variables")
			for _, k := range keys(vars.object()) {
				url = strings.ReplaceAll(url, "{"+k+"}", fmt.Sprint(vars.get(k).get("default").v))
			}
			return url
		}
	}
	return ""
}

func (op *Operation) parameters(item at) error {
	type place struct{ in, name string }
	index := map[place]int{}
	for _, list := range [][]at{item.get("parameters").each(), op.from.get("parameters").each()} {
		own := map[place]bool{}
		for _, raw := range list {
			p, err := raw.follow()
			if err != nil {
				return fmt.Errorf("parameter: %w", err)
			}
			if p.object() == nil {
				continue
			}
			if in := p.get("in").text(); in == "body" || in == "formData" {
				if op.doc.Revision == "2.0" {
					if err := op.body2(p); err != nil {
						return err
					}
				}
				continue
			}
			q, err := op.param(p)
			if err != nil {
				return err
			}
			if q == nil {
				continue
			}
			key := place{q.In, q.Name}
			if q.In == "header" {
				key.name = strings.ToLower(q.Name)
			}
			if own[key] {
				continue // the list MUST NOT include duplicates; the first stands
			}
			own[key] = true
			if i, have := index[key]; have {
				op.Params[i] = q
				continue
			}
			index[key] = len(op.Params)
			op.Params = append(op.Params, q)
		}
	}
	whole, _, _ := strings.Cut(op.Path, "?")
	for _, name := range templates(op.Path) {
		_, have := index[place{"path", name}]
		if _, query := index[place{"query", name}]; query && !slices.Contains(templates(whole), name) {
			have = true // the query parameter itself says what stands there
		}
		if !have {
			op.Params = append(op.Params, &Param{In: "path", Name: name, Required: true, Style: "simple", Schemas: text(op.from)})
		}
	}
	return nil
}

func text(where at) []at { return []at{{where.f, map[string]any{"type": "string"}}} }

// templates are the names in braces of a path, without those after a #.
func templates(path string) []string {
	path, _, _ = strings.Cut(path, "#")
	var out []string
	for {
		_, rest, ok := strings.Cut(path, "{")
		if !ok {
			return out
		}
		name, rest, ok := strings.Cut(rest, "}")
		if !ok {
			return out
		}
		if name != "" && !slices.Contains(out, name) {
			out = append(out, name)
		}
		path = rest
	}
}

// left are headers that HTTP itself fills: a client that sends what a document says of them breaks the message.
func left(name string) bool {
	switch strings.ToLower(name) {
	case "host", "content-length", "connection", "transfer-encoding", "te", "trailer", "upgrade", "keep-alive", "expect", "cookie", "proxy-authorization", "proxy-connection", "date":
		return true
	}
	return false
}

// token says whether a text can be the name of a header or cookie (RFC 9110 section 5.6.2).
func token(s string) bool {
	for _, r := range s {
		if r <= ' ' || r > '~' || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r) {
			return false
		}
	}
	return s != ""
}

// param reads a Parameter Object that is not a body; nil when OpenAPI says to ignore it.
func (op *Operation) param(p at) (*Param, error) {
	q := &Param{In: p.get("in").text(), Name: p.get("name").text(), Required: p.get("required").truth()}
	three := op.doc.Revision > "2.0"
	if q.Name == "" && q.In != "querystring" {
		return nil, nil // the name is REQUIRED; without it there is nothing to send
	}
	switch q.In {
	case "query", "querystring":
	case "header":
		switch strings.ToLower(q.Name) {
		case "accept", "content-type", "authorization":
			if three {
				return nil, nil
			}
			q.Note = "2.0 does not say who decides this header"
		}
		if left(q.Name) {
			q.Note = "HTTP fills this header"
		}
		if !token(q.Name) {
			q.Note = "no header can have this name"
		}
	case "path":
		q.Required = true
		if !slices.Contains(templates(op.Path), q.Name) {
			return nil, nil // it MUST correspond to a template expression; there is no place to send it
		}
	case "cookie":
		if !three {
			return nil, nil
		}
		if !token(q.Name) {
			q.Note = "no cookie can have this name"
		}
	default:
		return nil, nil
	}
	if !three {
		op.param2(q, p)
		return q, nil
	}
	if content := p.get("content"); len(content.object()) > 0 {
		q.Media = keys(content.object())[0]
		media, err := content.get(q.Media).follow()
		if err != nil {
			return nil, err
		}
		q.content = media
		q.Schemas = schemas(media.get("schema"), p)
		return q, nil
	}
	q.Schemas = schemas(p.get("schema"), p)
	if p.get("schema").object() == nil {
		q.Schemas = text(p) // a parameter MUST have a schema or content; nothing is said of this one
	}
	q.style(p)
	return q, nil
}

func schemas(s, where at) []at {
	if s.object() == nil {
		return []at{{where.f, map[string]any{}}}
	}
	return []at{s}
}

func (q *Param) style(p at) {
	q.Style = map[string]string{"path": "simple", "header": "simple", "query": "form", "cookie": "form"}[q.In]
	if s := p.get("style").text(); s != "" {
		q.Style = s
	}
	q.Explode = q.Style == "form" || q.Style == "cookie"
	if e, is := p.get("explode").v.(bool); is {
		q.Explode = e
	}
	q.Reserved = p.get("allowReserved").truth()
}

// param2 reads the parameter of 2.0, whose schema stands in the parameter itself.
func (op *Operation) param2(q *Param, p at) {
	schema := map[string]any{}
	for k, v := range p.object() {
		if k != "required" && k != "in" && k != "name" && k != "collectionFormat" {
			schema[k] = v
		}
	}
	q.Schemas = []at{{p.f, schema}}
	q.Style = map[string]string{"path": "simple", "header": "simple"}[q.In]
	if q.Style == "" {
		q.Style = "form"
	}
	switch format := p.get("collectionFormat").text(); format {
	case "", "csv":
	case "ssv":
		q.Style = "spaceDelimited"
	case "tsv":
		q.Style = "tabDelimited"
	case "pipes":
		q.Style = "pipeDelimited"
	case "multi":
		q.Explode = true
		if q.In == "path" || q.In == "header" {
			q.Note = "multi is for query and formData only"
		}
	default:
		q.Note = "collectionFormat " + format
	}
}
