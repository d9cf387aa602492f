package expect

import (
	"encoding/base64"
	"slices"
	"strings"
)

// Sample is one set of values for an operation and the request they prescribe.
type Sample struct {
	Variant int
	Values  []Value
	Body    any
	HasBody bool
	want    want
}

// Value is what one parameter is given.
type Value struct {
	Param *Param
	Value any
}

// want is the request that OpenAPI prescribes.
type want struct {
	method   string
	segments []segment
	query    []pair
	whole    *pair // a querystring parameter that is not a form
	headers  map[string]pair
	cookies  []pair
	body     *content
	others   []*content // the same value in the other media types that are declared: each is right
	loose    []loose
	free     []string // headers that are held to nothing
}

type segment struct {
	encoded string
	strict  bool
}

// loose is a value whose form OpenAPI leaves open: it must be there all the same.
type loose struct {
	where, name string
	leaves      []string
}

// Undefined says whether OpenAPI leaves a part of the request open.
func (s *Sample) Undefined() bool { return len(s.want.loose) > 0 }

// Samples makes the samples of an operation; problems says what could not be sampled.
func (op *Operation) Samples() (out []Sample, problems []string) {
	out, problems = op.samples()
	if len(out) == 0 {
		op.doc.d.merged = true
		out, _ = op.samples()
		op.doc.d.merged = false
	}
	return out, problems
}

func (op *Operation) samples() (out []Sample, problems []string) {
	for v := range variants {
		s, problem := op.sample(v)
		if problem != "" {
			problems = append(problems, problem)
			continue
		}
		same := slices.ContainsFunc(out, func(o Sample) bool { return sameSample(o, s) })
		if !same {
			out = append(out, s)
		}
	}
	return out, problems
}

func sameSample(a, b Sample) bool {
	return a.HasBody == b.HasBody && Equal(a.Body, b.Body) && slices.EqualFunc(a.Values, b.Values, func(x, y Value) bool {
		return x.Param == y.Param && Equal(x.Value, y.Value)
	})
}

func (op *Operation) sample(variant int) (Sample, string) {
	s := Sample{Variant: variant}
	*op.doc.d.fuel = enough
	seed := variant
	for _, q := range op.Params {
		seed++
		if !q.Required && (variant == Least || variant == Empty && q.In != "query" && q.In != "querystring") {
			continue
		}
		g := &gen{d: op.doc.d, variant: variant, n: seed, left: 40}
		if !g.forParam(q) {
			if q.Required {
				return s, "the schema of parameter " + q.Name + " cannot be resolved"
			}
			continue
		}
		v, ok := g.value(q.Schemas, 0)
		if m, isObject := v.(map[string]any); isObject && len(m) == 0 && q.In != "query" {
			g.variant = Filled // RFC 6570 has no form for it, and a path must have something
			v, ok = g.value(q.Schemas, 0)
			m, _ = v.(map[string]any)
			ok = ok && len(m) > 0
		}
		if ok && variant == Empty && !q.Required && g.d.valid(nil, q.Schemas, 0) == "" && g.says(q.Schemas, "null") {
			v = nil
		}
		if !ok {
			if q.Required {
				return s, "no value found for parameter " + q.Name
			}
			continue
		}
		s.Values = append(s.Values, Value{q, v})
	}
	if b := op.Body; b != nil && (b.Required || variant != Least) {
		g := &gen{d: op.doc.d, variant: variant, n: seed, left: 250, nulls: isJSON(b.Media)}
		b.prepare(g)
		v, ok := g.value(b.Schemas, 0)
		if ok && isJSON(b.Media) && g.d.valid(v, b.Schemas, 0) != "" {
			ok = false
		}
		m, isObject := v.(map[string]any)
		switch {
		case !ok && b.Required:
			return s, "no value found for the body"
		case !ok, isObject && len(m) == 0 && !b.Required:
			// An optional body that says nothing may be left out.
		default:
			s.Body, s.HasBody = v, true
		}
	}
	s.want = op.want(&s)
	return s, ""
}

// says whether the schemas name the kind.
func (g *gen) says(ss []at, kind string) bool {
	ps, err := g.d.every(ss)
	if err != nil {
		return false
	}
	ks := g.d.kinds(ps)
	return slices.Contains(ks, kind)
}

// forParam sets the alphabet of the place the parameter goes to.
func (g *gen) forParam(q *Param) bool {
	ps, err := g.d.every(q.Schemas)
	if err != nil {
		return false
	}
	kinds := g.d.kinds(ps)
	compound := kinds == nil || slices.Contains(kinds, "array") || slices.Contains(kinds, "object")
	g.flat = q.Media == "" && q.In != "query"
	a := &g.alphabet
	switch q.In {
	case "path":
		a.some = true
		if q.Style == "label" {
			a.without = "."
		}
	case "header":
		a.ascii, a.some = true, true
		if compound {
			a.without = ",="
		}
	case "cookie":
		a.some = true
		if q.Style == "cookie" || q.Media != "" {
			a.ascii, a.without = true, " \",;\\="
		}
	}
	switch q.Style {
	case "pipeDelimited":
		a.without += "|"
	case "spaceDelimited":
		a.without += " "
	case "tabDelimited":
		a.without += "\t"
	case "deepObject":
		a.without += "[]"
	}
	if q.Reserved {
		a.without += "&=+#[]%,|"
	}
	return true
}

// want builds the request for the values.
func (op *Operation) want(s *Sample) want {
	w := want{method: op.Method, headers: map[string]pair{}}
	two := op.doc.Revision == "2.0"
	open := func(q *Param, v any) {
		if q.Note == "" || q.In != "header" && q.In != "cookie" {
			w.loose = append(w.loose, loose{q.In, q.Name, leaves(v)})
		} else {
			w.free = append(w.free, strings.ToLower(q.Name))
		}
	}
	inPath := map[string]Value{}
	for _, x := range s.Values {
		q, v := x.Param, x.Value
		switch {
		case q.In == "path":
			inPath[q.Name] = x
		case v == nil:
		case q.Media != "":
			if !w.content(q, v) {
				open(q, v)
			}
		case q.In == "query":
			pairs, defined := q.query(v, two)
			if !defined {
				open(q, v)
			}
			w.query = append(w.query, pairs...)
		case q.In == "header":
			if text, defined := q.header(v); defined && q.Note == "" {
				w.headers[strings.ToLower(q.Name)] = pair{name: q.Name, value: text}
			} else {
				open(q, v)
			}
		case q.In == "cookie":
			pairs, defined := q.cookie(v)
			if !defined {
				open(q, v)
			}
			w.cookies = append(w.cookies, pairs...)
		}
	}
	for _, q := range op.Params {
		if q.In == "header" && q.Note != "" {
			w.free = append(w.free, strings.ToLower(q.Name))
		}
	}
	op.expandPath(&w, inPath)
	if s.HasBody {
		w.body = op.bodyWant(op.Body, s.Body)
		for _, b := range op.Body.others {
			w.others = append(w.others, op.bodyWant(b, s.Body))
		}
	}
	return w
}

// content serializes a parameter by its media type.
func (w *want) content(q *Param, v any) bool {
	text, isText := scalar(v)
	p := pair{name: q.Name}
	switch {
	case isJSON(q.Media):
		p.json = &v
	case q.Media == "application/x-www-form-urlencoded" && q.In == "querystring":
		b := &Body{Media: q.Media, content: q.content, Schemas: q.Schemas}
		pairs, open := b.fields(v, q.Schemas[0].f)
		w.query = append(w.query, pairs...)
		w.loose = append(w.loose, open...)
		return true
	case isText && isString(v) && !isXML(q.Media) && q.Media != "*/*":
		p.value = text
	default:
		return false
	}
	switch q.In {
	case "querystring":
		w.whole = &p
	case "query":
		w.query = append(w.query, p)
	case "header":
		w.headers[strings.ToLower(q.Name)] = p
	default:
		return false
	}
	return true
}

func isString(v any) bool { _, is := v.(string); return is }

// expandPath fills the template. A fragment is never sent; what stands after a question mark is query.
func (op *Operation) expandPath(w *want, values map[string]Value) {
	path, _, _ := strings.Cut(op.Path, "#")
	path, query, _ := strings.Cut(path, "?")
	expand := func(t string, plain bool) segment {
		var s segment
		for {
			before, rest, ok := strings.Cut(t, "{")
			name, rest, closed := strings.Cut(rest, "}")
			x, have := values[name]
			if !ok || !closed || !have {
				s.encoded += t
				return s
			}
			s.encoded += before
			var enc string
			strict, defined := false, true
			switch {
			case plain:
				text, _ := scalar(x.Value)
				enc = escape(text)
			case x.Param.Media != "":
				enc, defined = contentSegment(x)
			default:
				enc, strict, defined = x.Param.segment(x.Value)
			}
			if !defined {
				enc = "\x00" // stands for anything
				w.loose = append(w.loose, loose{"path", name, leaves(x.Value)})
			}
			s.encoded += enc
			s.strict = s.strict || strict
			t = rest
		}
	}
	for _, t := range splitOutside(path) {
		w.segments = append(w.segments, expand(t, false))
	}
	if query == "" {
		return
	}
	for _, t := range strings.Split(query, "&") {
		name, value, _ := strings.Cut(t, "=")
		if n := templates(t); len(n) > 0 && slices.ContainsFunc(op.Params, func(q *Param) bool { return q.In == "query" && q.Name == n[0] }) {
			continue
		}
		w.query = append(w.query, pair{name: formDecode(expand(name, true).encoded), value: formDecode(expand(value, true).encoded)})
	}
}

// splitOutside splits a path at the slashes that are not within braces.
func splitOutside(path string) []string {
	out, start := []string{}, 0
	for i := 0; i < len(path); i++ {
		if end := strings.IndexByte(path[i:], '}'); path[i] == '{' && end > 0 {
			i += end
			continue
		}
		if path[i] == '/' {
			out, start = append(out, path[start:i]), i+1
		}
	}
	return append(out, path[start:])
}

// contentSegment is a path parameter that is described by a media type.
func contentSegment(x Value) (string, bool) {
	if isJSON(x.Param.Media) {
		return escape(string(compact(x.Value))), true
	}
	text, ok := scalar(x.Value)
	return escape(text), ok && isString(x.Value)
}

// Argument is the value as a tool's caller gives it: binary content as base64 where the tool says so.
func Argument(v any, binary bool) any {
	switch x := v.(type) {
	case Bytes:
		return base64.StdEncoding.EncodeToString([]byte(x))
	case string:
		if binary {
			return base64.StdEncoding.EncodeToString([]byte(x))
		}
	case []any:
		out := make([]any, len(x))
		for i, e := range x {
			out[i] = Argument(e, binary)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(x))
		for k, e := range x {
			out[k] = Argument(e, false)
		}
		return out
	}
	return v
}
