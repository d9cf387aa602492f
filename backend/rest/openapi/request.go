package openapi

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"gatehouse"
	"gatehouse/wire"
)

// Request is the HTTP request of one call, without its server and its credentials.
type Request struct {
	Method string
	Path   string // escaped path and query, to be put behind the path of the server's URL; begins with "/"
	Header []Field
	Body   []byte
}

// Field is one header field.
type Field struct{ Name, Value string }

// bad is a fault of an argument, in words for the caller.
func bad(path []string, format string, a ...any) error {
	return &gatehouse.Error{
		Code: CodeArgument, Msg: "argument " + strings.Join(path, ".") + ": " + fmt.Sprintf(format, a...),
		Hint: "correct the argument and call again",
	}
}

// arguments are the arguments of one call.
type arguments struct{ root wire.Object }

func (a arguments) get(path []string) []byte {
	if path == nil {
		return nil
	}
	v := a.root.Get(path[0])
	if len(path) == 2 {
		o, _ := wire.ParseObject(v)
		return o.Get(path[1])
	}
	return v
}

// Request makes the request of verified arguments, an object that the schema Input accepts. The error is a
// *gatehouse.Error with a message for the caller.
func (p *Plan) Request(args []byte) (*Request, error) {
	root, _ := wire.ParseObject(args)
	a := arguments{root}
	r := &Request{Method: p.Op.Method}
	var path strings.Builder
	if err := p.fill(&path, p.path, a); err != nil {
		return nil, err
	}
	if err := p.check(path.String()); err != nil {
		return nil, err
	}
	query, err := p.queryOf(a)
	if err != nil {
		return nil, err
	}
	if query != "" {
		path.WriteByte('?')
		path.WriteString(query)
	}
	r.Path = path.String()
	if p.Accept != "" {
		r.Header = append(r.Header, Field{"Accept", p.Accept})
	}
	if err := p.headers(r, a); err != nil {
		return nil, err
	}
	return r, p.writeBody(r, a)
}

// fill writes a template with its values.
func (p *Plan) fill(b *strings.Builder, template []segment, a arguments) error {
	for _, s := range template {
		if s.param < 0 {
			b.WriteString(s.text)
			continue
		}
		q := &p.params[s.param]
		v := a.get(q.path)
		if v == nil {
			return bad(q.path, "is missing; the path needs it")
		}
		if hasControl(v) {
			return bad(q.path, "must not contain control characters")
		}
		if q.media != "" {
			s := contentText(q.media, v)
			if s == "" {
				return bad(q.path, "must not be empty")
			}
			b.WriteString(escape(s, ""))
			continue
		}
		t, err := segmentValue(&q.param, v)
		if err != nil {
			return bad(q.path, "%v", err)
		}
		b.WriteString(t)
	}
	return nil
}

// hasControl reports whether a value, or one inside it, holds a control character.
func hasControl(v []byte) bool {
	if s, ok := wire.Text(v); ok {
		return strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f })
	}
	if el, ok := wire.Elements(v); ok {
		for _, e := range el {
			if hasControl(e) {
				return true
			}
		}
	}
	if o, ok := wire.ParseObject(v); ok {
		for _, m := range o {
			if strings.ContainsFunc(m.Name, func(r rune) bool { return r < 0x20 || r == 0x7f }) || hasControl(m.Value) {
				return true
			}
		}
	}
	return false
}

// check refuses a path whose values made it one of another place: a segment "." or "..", which servers resolve. Many of
// them decode first, some twice, take "\\" for "/" or set what follows ";" aside, so these forms are refused as well.
func (p *Plan) check(path string) error {
	for range 3 {
		if d, err := url.PathUnescape(path); err == nil {
			path = d
		}
	}
	for s := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '/' || r == '\\' }) {
		s, _, _ = strings.Cut(s, ";")
		if s == "." || s == ".." {
			for _, t := range p.path {
				if t.param >= 0 {
					return bad(p.params[t.param].path, "makes a path segment %q, which leads elsewhere", s)
				}
			}
		}
	}
	return nil
}

func (p *Plan) queryOf(a arguments) (string, error) {
	var b strings.Builder
	if err := p.fill(&b, p.query, a); err != nil {
		return "", err
	}
	fixed, _ := url.ParseQuery(b.String()) // what cannot be read has no name to guard
	taken := func(name string) bool {
		return fixed.Has(name) || slices.ContainsFunc(p.params, func(q bound) bool { return q.in == "query" && q.name == name })
	}
	for i := range p.params {
		q := &p.params[i]
		v := a.get(q.path)
		if v == nil || q.in != "query" && q.in != "querystring" {
			continue
		}
		switch {
		case q.in == "querystring" && formMedia(q.media) && wire.IsObject(v):
			for _, x := range querystring(v) {
				if taken(x.name) {
					return "", stray(q.path, x.name)
				}
				if b.Len() > 0 {
					b.WriteByte('&')
				}
				x.write(&b)
			}
			continue
		case q.in == "querystring":
			s := escape(contentText(q.media, v), "")
			if s != "" && b.Len() > 0 {
				b.WriteByte('&')
			}
			b.WriteString(s)
			continue
		case q.media != "":
			if b.Len() > 0 {
				b.WriteByte('&')
			}
			pair{name: q.name, vals: []string{contentText(q.media, v)}}.write(&b)
			continue
		}
		for _, x := range pairs(q.name, q.style, q.explode, q.reserved, v) {
			if x.name != q.name && taken(x.name) {
				return "", stray(q.path, x.name)
			}
			if b.Len() > 0 {
				b.WriteByte('&')
			}
			x.write(&b)
		}
	}
	return b.String(), nil
}

// stray is a member of a free object that would be sent as a parameter which has its own place, and perhaps a fixed value.
func stray(path []string, name string) error {
	return bad(path, "has a member that would be sent as %q, which is another parameter", clip(name, 64))
}

// querystring makes the pairs of a whole query string (OpenAPI 3.2, in: querystring).
func querystring(v []byte) (out []pair) {
	o, _ := wire.ParseObject(v)
	for _, m := range o {
		out = append(out, pairs(m.Name, "form", true, false, m.Value)...)
	}
	return out
}

func formMedia(media string) bool {
	return strings.HasPrefix(media, "application/x-www-form-urlencoded")
}

// contentText is a value in the media type that describes a parameter.
func contentText(media string, v []byte) string {
	if jsonMedia(media) || !strings.HasPrefix(string(v), `"`) {
		return string(v)
	}
	return scalar(v)
}

func (p *Plan) headers(r *Request, a arguments) error {
	var cookies []string
	for i := range p.params {
		q := &p.params[i]
		v := a.get(q.path)
		if v == nil || wire.IsNull(v) || q.in != "header" && q.in != "cookie" {
			continue
		}
		var s string
		switch {
		case q.media != "":
			s = contentText(q.media, v)
		case q.in == "header":
			s = headerValue(v, q.explode)
		default:
			for _, x := range pairs(q.name, "form", q.explode, false, v) {
				if x.name != q.name && slices.ContainsFunc(p.params, func(o bound) bool { return o.in == "cookie" && o.name == x.name }) {
					return stray(q.path, x.name)
				}
				c, err := cookie(x, q.style)
				if err != nil {
					return bad(q.path, "%v", err)
				}
				cookies = append(cookies, c)
			}
			continue
		}
		if q.in == "cookie" {
			name := q.name
			if !isToken(name) {
				name = escape(name, "")
			}
			cookies = append(cookies, name+"="+escape(s, "!#$&'()*+/:<=>?@[]^`{|}"))
			continue
		}
		if err := fieldText(s); err != nil {
			return bad(q.path, "%v", err)
		}
		r.Header = append(r.Header, Field{q.name, s})
	}
	if len(cookies) > 0 {
		r.Header = append(r.Header, Field{"Cookie", strings.Join(cookies, "; ")})
	}
	return nil
}

// cookie writes one cookie: percent-encoded in style form, as it is in style cookie.
func cookie(x pair, style string) (string, error) {
	if !isToken(x.name) {
		x.name = escape(x.name, "")
	}
	if style == "cookie" {
		v := strings.Join(x.vals, ",")
		if strings.ContainsFunc(v, func(r rune) bool { return r <= 0x20 || r >= 0x7f || r == '"' || r == ';' || r == '\\' }) {
			return "", fmt.Errorf("must not contain blanks, quotes, semicolons, backslashes or characters beyond ASCII in a cookie")
		}
		return x.name + "=" + v, nil
	}
	vals := make([]string, len(x.vals))
	for i, v := range x.vals {
		vals[i] = escape(v, "")
	}
	return x.name + "=" + strings.Join(vals, x.sep), nil
}

// writeBody writes the body in its media type.
func (p *Plan) writeBody(r *Request, a arguments) error {
	b := p.body
	if b == nil {
		return nil
	}
	media := b.media
	if c, ok := wire.Text(a.get(p.choice)); ok {
		for _, m := range b.choices {
			if m == c {
				media = m
			}
		}
	}
	var members wire.Object
	var whole []byte
	if b.flat {
		for i := range b.props {
			if v := a.get(p.member[i]); v != nil {
				members = append(members, wire.Member{Name: b.props[i].name, Value: v})
			}
		}
		if members == nil && !b.required {
			return nil
		}
	} else if whole = a.get(p.whole); whole == nil {
		if b.required {
			return bad(p.whole, "is missing; the operation needs a body")
		}
		return nil
	} else if o, ok := wire.ParseObject(whole); ok {
		members = o
	}
	var err error
	switch b.kind {
	case jsonBody:
		if r.Body = whole; b.flat {
			r.Body = members.Bytes()
		}
	case formBody:
		form, ferr := p.form(members)
		if ferr != nil {
			return ferr
		}
		r.Body = []byte(form)
		if members == nil && whole != nil {
			r.Body = []byte(scalar(whole))
		}
	case multipartBody:
		if whole != nil && !wire.IsObject(whole) {
			return bad(p.whole, "must be an object: each of its members becomes a part")
		}
		r.Body, media, err = p.multipart(media, members)
	case xmlBody:
		if r.Body, err = p.xml(whole, members); err != nil {
			return bad(p.whole, "%v", err)
		}
	case textBody:
		r.Body = []byte(scalar(whole))
	case binaryBody:
		f, ferr := fileOf(whole)
		if ferr != nil {
			return bad(p.whole, "%v", ferr)
		}
		r.Body = f.data
		if f.media != "" && p.choice == nil && strings.HasPrefix(media, "application/octet-stream") {
			media = f.media
		}
	}
	if err != nil {
		return err
	}
	r.Header = append(r.Header, Field{"Content-Type", media})
	return nil
}

// upload is a file to send.
type upload struct {
	data        []byte
	name, media string
}

// fileOf reads an argument that stands for bytes: base64, or an object with data and the file's name and type.
func fileOf(v []byte) (f upload, err error) {
	if o, ok := wire.ParseObject(v); ok {
		f.name, f.media = text(o, "filename"), text(o, "mimeType")
		if fieldText(f.name) != nil || fieldText(f.media) != nil || f.media != "" && !strings.Contains(f.media, "/") {
			return f, fmt.Errorf("filename and mimeType must be plain text, and mimeType one such as image/png")
		}
		if v = o.Get("data"); v == nil {
			return f, fmt.Errorf("has no data: give the bytes in base64")
		}
	}
	s, ok := wire.Text(v)
	if !ok {
		return f, fmt.Errorf("must be a string in base64, or an object with data")
	}
	if rest, isURI := strings.CutPrefix(s, "data:"); isURI {
		head, b64, found := strings.Cut(rest, ",")
		if found && strings.HasSuffix(head, ";base64") {
			if s = b64; f.media == "" {
				f.media = strings.TrimSuffix(head, ";base64")
			}
			if f.media != "" && !(printable(f.media) && strings.Contains(f.media, "/")) {
				return f, fmt.Errorf("has a data: URI whose type is none such as image/png")
			}
		}
	}
	s = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' || r == ' ' {
			return -1
		}
		return r
	}, s)
	s = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(s, "="))
	if f.data, err = base64.RawStdEncoding.DecodeString(s); err != nil {
		return f, fmt.Errorf("is no base64")
	}
	return f, nil
}
