package expect

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"slices"
	"strings"
)

// Got is a request that was made.
type Got struct {
	Method, Path string // path and query in their escaped form
	Header       [][2]string
	Body         []byte
}

// Fault is one way a request differs from what is prescribed.
type Fault struct{ Class, Msg string }

// Compare returns how a request differs from what the sample prescribes.
func (s *Sample) Compare(got Got) []Fault {
	c := &comparison{w: &s.want}
	if got.Method != c.w.method {
		c.fault("method", "%s, want %s", got.Method, c.w.method)
	}
	target, query, _ := strings.Cut(got.Path, "?")
	if strings.Contains(got.Path, "#") {
		c.fault("path", "a fragment is sent: %s", got.Path)
	}
	if i := strings.IndexFunc(got.Path, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"<>\^{|}`+"`", r) }); i >= 0 {
		c.fault("path", "a URI may not hold %q: %s", got.Path[i:i+1], got.Path)
	}
	c.path(target)
	c.query(query)
	c.headers(got)
	c.cookies(got)
	c.body(got)
	return c.faults
}

type comparison struct {
	w      *want
	faults []Fault
}

func (c *comparison) fault(class, format string, args ...any) {
	c.faults = append(c.faults, Fault{class, clip(fmt.Sprintf(format, args...), 500)})
}

func (c *comparison) path(target string) {
	got := strings.Split(target, "/")
	if len(got) != len(c.w.segments) {
		c.fault("path", "%s has %d segments, want %d", target, len(got)-1, len(c.w.segments)-1)
		return
	}
	for i, want := range c.w.segments {
		if strings.Contains(want.encoded, "\x00") {
			continue
		}
		g, err := url.PathUnescape(got[i])
		if err != nil {
			c.fault("path", "%v", err)
			return
		}
		if want.strict {
			if normal(got[i]) != normal(want.encoded) {
				c.fault("path", "segment %s, want %s", got[i], want.encoded)
			}
			continue
		}
		w, err := url.PathUnescape(want.encoded)
		if err != nil {
			w = want.encoded
		}
		if g != w {
			c.fault("path", "segment %s, want %s", got[i], want.encoded)
		}
		if g == "." || g == ".." {
			c.fault("path", "segment %s leaves its place", got[i])
		}
	}
}

type rawPair struct{ name, value string }

func splitForm(s string) []rawPair {
	var out []rawPair
	for _, t := range strings.Split(s, "&") {
		if t == "" {
			continue
		}
		n, v, _ := strings.Cut(t, "=")
		out = append(out, rawPair{n, v})
	}
	return out
}

func formDecode(s string) string {
	if d, err := url.QueryUnescape(s); err == nil {
		return d
	}
	return s
}

func (p pair) String() string {
	switch {
	case p.list != nil:
		return p.name + "=" + strings.Join(p.list, p.delim)
	case p.json != nil:
		return p.name + "=" + string(compact(*p.json))
	}
	return p.name + "=" + p.value
}

// is says whether an escaped value is the expected one.
func (p pair) is(raw string) bool {
	switch {
	case p.json != nil:
		v, err := decodeJSON([]byte(formDecode(raw)))
		return err == nil && Equal(v, *p.json)
	case p.list != nil:
		got := strings.Split(delimited(raw, p.delim), "\x00")
		return slices.EqualFunc(got, p.list, func(g, w string) bool { return formDecode(g) == w })
	case p.exact:
		return normal(raw) == normal(p.value)
	}
	return formDecode(raw) == p.value
}

// delimited marks the delimiters of a raw value with nul. A comma is one only unescaped; the others have to be escaped.
func delimited(raw, delim string) string {
	switch delim {
	case " ":
		return strings.NewReplacer("%20", "\x00", "+", "\x00").Replace(raw)
	case "|":
		return strings.NewReplacer("%7C", "\x00", "%7c", "\x00", "|", "\x00").Replace(raw)
	case "\t":
		return strings.ReplaceAll(raw, "%09", "\x00")
	}
	return strings.ReplaceAll(raw, delim, "\x00")
}

// pairs compares names and values as multisets and returns what is left over.
func (c *comparison) pairs(class string, want []pair, got []rawPair) []rawPair {
	rest := slices.Clone(got)
	var missing []pair
	for _, w := range want {
		i := slices.IndexFunc(rest, func(g rawPair) bool { return formDecode(g.name) == w.name && w.is(g.value) })
		if i < 0 {
			missing = append(missing, w)
			continue
		}
		rest = slices.Delete(rest, i, i+1)
	}
	for _, m := range missing {
		c.fault(class, "no %s; left over %v", m, rest)
	}
	return rest
}

func (c *comparison) open(where string) []string {
	var out []string
	for _, l := range c.w.loose {
		if l.where == where {
			out = append(out, l.leaves...)
			out = append(out, "")
		}
	}
	return out
}

// spare accepts what is left over where the form is open, if every value is there.
func (c *comparison) spare(class, rest string, open []string, left bool) {
	if open == nil {
		if left {
			c.fault(class, "sent and not prescribed: %s", rest)
		}
		return
	}
	plain := rest + " " + unescaped(rest) + " " + unescaped(formDecode(rest)) + " " + unescaped(formDecode(formDecode(rest)))
	for _, l := range open {
		if !strings.Contains(plain, l) && !strings.Contains(plain, string(bytes.Trim(compact(l), `"`))) {
			c.fault(class, "the value %q is lost: %s", l, rest)
			return
		}
	}
}

// unescaped takes the escapes of JSON away, whatever the text is.
func unescaped(s string) string {
	return strings.NewReplacer(`\"`, `"`, `\\`, `\`, `\u0026`, "&", `\u003c`, "<", `\u003e`, ">").Replace(s)
}

func (c *comparison) query(raw string) {
	if p := c.w.whole; p != nil {
		if p.json == nil && formDecode(raw) == p.value || p.json != nil && p.is(raw) {
			return
		}
		c.fault("query", "%s, want %s", raw, p)
		return
	}
	rest := c.pairs("query", c.w.query, splitForm(raw))
	open := append(c.open("query"), c.open("querystring")...)
	c.spare("query", fmt.Sprint(rest), open, len(rest) > 0)
}

func (c *comparison) headers(got Got) {
	seen := map[string]string{}
	for _, h := range got.Header {
		name := strings.ToLower(h[0])
		if _, twice := seen[name]; twice {
			c.fault("header", "%s is sent twice", h[0])
		}
		seen[name] = h[1]
		if strings.ContainsAny(h[1], "\r\n\x00") {
			c.fault("header", "%s breaks its line", h[0])
		}
	}
	for name, w := range c.w.headers {
		g, have := seen[name]
		delete(seen, name)
		switch {
		case !have:
			c.fault("header", "no %s", w.name)
		case w.json != nil:
			if v, err := decodeJSON([]byte(g)); err != nil || !Equal(v, *w.json) {
				c.fault("header", "%s: %q, want %s", w.name, g, w)
			}
		case g != w.value:
			c.fault("header", "%s: %q, want %q", w.name, g, w.value)
		}
	}
	for _, l := range c.w.loose {
		if l.where == "header" {
			if _, have := seen[strings.ToLower(l.name)]; !have {
				c.fault("header", "no %s", l.name)
			}
			delete(seen, strings.ToLower(l.name))
		}
	}
	for _, f := range c.w.free {
		delete(seen, f)
	}
	for _, name := range []string{"accept", "content-type", "cookie", "content-length"} {
		delete(seen, name)
	}
	for name, v := range seen {
		c.fault("header", "sent and not prescribed: %s: %s", name, v)
	}
}

func (c *comparison) cookies(got Got) {
	raw := ""
	for _, h := range got.Header {
		if strings.EqualFold(h[0], "Cookie") {
			raw = h[1]
		}
	}
	if slices.Contains(c.w.free, "cookie") {
		return
	}
	var pairs []rawPair
	for _, t := range strings.Split(raw, ";") {
		if t = strings.TrimLeft(t, " "); t != "" {
			n, v, _ := strings.Cut(t, "=")
			pairs = append(pairs, rawPair{n, v})
		}
	}
	var missing []pair
	for _, w := range c.w.cookies {
		i := slices.IndexFunc(pairs, func(g rawPair) bool {
			return (g.name == w.name || pathDecode(g.name) == w.name) && (w.exact && g.value == w.value || !w.exact && w.isPath(g.value))
		})
		if i < 0 {
			missing = append(missing, w)
			continue
		}
		pairs = slices.Delete(pairs, i, i+1)
	}
	for _, m := range missing {
		c.fault("cookie", "no %s in %s", m, raw)
	}
	c.spare("cookie", fmt.Sprint(pairs), c.open("cookie"), len(pairs) > 0)
}

func pathDecode(s string) string {
	if d, err := url.PathUnescape(s); err == nil {
		return d
	}
	return s
}

// isPath is for cookies, where a plus is a plus.
func (p pair) isPath(raw string) bool {
	if p.list != nil {
		return slices.EqualFunc(strings.Split(raw, p.delim), p.list, func(g, w string) bool { return pathDecode(g) == w })
	}
	return pathDecode(raw) == p.value
}

func decodeJSON(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more than one JSON value")
	}
	return v, nil
}

func (c *comparison) body(got Got) {
	sent := ""
	for _, h := range got.Header {
		if strings.EqualFold(h[0], "Content-Type") {
			sent = h[1]
		}
	}
	w := c.w.body
	if w == nil {
		if len(got.Body) > 0 {
			c.fault("body", "a body is sent and none is prescribed: %s", got.Body)
		}
		return
	}
	if w.optional && len(got.Body) == 0 && sent == "" {
		return
	}
	if err := matches(sent, w.media); err != nil {
		i := slices.IndexFunc(c.w.others, func(o *content) bool { return matches(sent, o.media) == nil })
		if i < 0 {
			c.fault("content type", "%v", err)
			return
		}
		w = c.w.others[i]
	}
	switch {
	case w.json != nil:
		if v, err := decodeJSON(got.Body); err != nil {
			c.fault("body", "%v: %s", err, got.Body)
		} else if !Equal(v, *w.json) {
			c.fault("body", "%s, want %s", got.Body, compact(*w.json))
		}
	case w.isForm:
		rest := c.pairs("body", w.form, splitForm(string(got.Body)))
		c.spare("body", fmt.Sprint(rest)+string(got.Body), w.leaves, len(rest) > 0)
	case w.multi:
		c.multipart(w, sent, got.Body)
	case w.xml != nil:
		if n, err := parseXML(got.Body); err != nil {
			c.fault("body", "%v: %s", err, got.Body)
		} else if why := w.xml.differs(n); why != "" {
			c.fault("body", "%s: %s", why, got.Body)
		}
	case w.bytes != nil:
		if string(got.Body) != *w.bytes {
			c.fault("body", "%q, want %q", got.Body, *w.bytes)
		}
	default:
		if len(w.leaves) > 0 {
			plain := strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&", "&#34;", `"`, "&quot;", `"`, "&#39;", "'", "&apos;", "'").Replace(string(got.Body))
			c.spare("body", string(got.Body)+" "+plain, w.leaves, false)
		}
	}
}

func (c *comparison) multipart(w *content, sent string, body []byte) {
	_, params, err := mime.ParseMediaType(sent)
	if err != nil || params["boundary"] == "" {
		c.fault("content type", "no boundary in %s", sent)
		return
	}
	type part struct {
		name, file, media string
		data              []byte
	}
	var got []part
	r := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for {
		p, err := r.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			c.fault("body", "multipart: %v", err)
			return
		}
		data, err := io.ReadAll(p)
		if err != nil {
			c.fault("body", "multipart: %v", err)
			return
		}
		got = append(got, part{p.FormName(), p.FileName(), p.Header.Get("Content-Type"), data})
	}
	for _, x := range w.parts {
		i := slices.IndexFunc(got, func(g part) bool { return g.name == x.name })
		if i < 0 {
			c.fault("body", "no part %s", x.name)
			continue
		}
		g := got[i]
		got = slices.Delete(got, i, i+1)
		media := g.media
		if media == "" {
			media = "text/plain"
		}
		if !x.free && !slices.ContainsFunc(x.types, func(t string) bool { return matches(media, t) == nil }) {
			c.fault("body", "part %s is %s, want %s", x.name, media, strings.Join(x.types, " or "))
		}
		if x.file && g.file == "" {
			c.fault("body", "part %s is a file and has no filename", x.name)
		}
		switch {
		case x.json != nil:
			if v, err := decodeJSON(g.data); err != nil || !Equal(v, *x.json) {
				c.fault("body", "part %s: %s, want %s", x.name, g.data, compact(*x.json))
			}
		case x.xml != nil:
			if n, err := parseXML(g.data); err != nil {
				c.fault("body", "part %s: %v", x.name, err)
			} else if why := x.xml.differs(n); why != "" {
				c.fault("body", "part %s: %s", x.name, why)
			}
		case x.bytes != nil && string(g.data) != *x.bytes:
			c.fault("body", "part %s: %q, want %q", x.name, g.data, *x.bytes)
		}
	}
	for _, g := range got {
		c.fault("body", "part %s is sent and not prescribed", g.name)
	}
}
