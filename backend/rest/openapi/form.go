package openapi

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"

	"gatehouse/wire"
)

// form writes an application/x-www-form-urlencoded body. A property whose encoding gives a style follows it; of the
// others, lists repeat and objects are JSON text (OpenAPI 3.0.4 and 3.1.1, "Support for x-www-form-urlencoded").
func (p *Plan) form(members wire.Object) (string, error) {
	var b strings.Builder
	add := func(x pair) {
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		x.write(&b)
	}
	for _, m := range members {
		e, ok := p.body.encoding[m.Name]
		if ok && e.styled {
			for _, x := range pairs(m.Name, e.style, e.explode, e.reserved, m.Value) {
				if x.name != m.Name && (members.Has(x.name) || p.body.declares(x.name)) {
					path := p.whole
					if i := slices.IndexFunc(p.body.props, func(o prop) bool { return o.name == m.Name }); p.body.flat && i >= 0 {
						path = p.member[i]
					}
					return "", stray(path, x.name)
				}
				add(x)
			}
			continue
		}
		list := [][]byte{m.Value}
		if el, ok := wire.Elements(m.Value); ok && !jsonMedia(e.media) {
			list = el
		}
		for _, v := range list {
			switch {
			case wire.IsNull(v):
			case jsonMedia(e.media): // a string keeps its quotes
				add(pair{name: m.Name, vals: []string{string(v)}})
			default:
				add(pair{name: m.Name, vals: []string{scalar(v)}})
			}
		}
	}
	return b.String(), nil
}

// declares reports whether the body has a property of that name.
func (b *body) declares(name string) bool {
	return slices.ContainsFunc(b.props, func(o prop) bool { return o.name == name })
}

// multipart writes a multipart body, a part for each value (RFC 7578). Lists become several parts of one name.
func (p *Plan) multipart(media string, members wire.Object) (body []byte, contentType string, err error) {
	var b bytes.Buffer
	boundary := "gatehouse-" + rand.Text()
	for _, m := range members {
		path := p.whole
		var x prop
		for i := range p.body.props {
			if p.body.props[i].name == m.Name {
				x = p.body.props[i]
				if p.body.flat {
					path = p.member[i]
				}
			}
		}
		e := p.body.encoding[m.Name]
		list := [][]byte{m.Value}
		if el, ok := wire.Elements(m.Value); ok && !jsonMedia(e.media) {
			list = el
			if e.styled && !e.explode && e.media == "" && !x.binary { // joined, as collectionFormat asks
				var parts []string
				for _, v := range el {
					parts = append(parts, scalar(v))
				}
				sep := map[string]string{"spaceDelimited": " ", "pipeDelimited": "|", "tabDelimited": "\t"}[e.style]
				if sep == "" {
					sep = ","
				}
				if list = nil; len(parts) > 0 {
					list = [][]byte{wire.String(strings.Join(parts, sep))}
				}
			}
		}
		for _, v := range list {
			if wire.IsNull(v) {
				continue
			}
			f := upload{media: concretePart(e.media)}
			switch {
			case x.binary:
				given := f.media
				if f, err = fileOf(v); err != nil {
					return nil, "", bad(path, "%v", err)
				}
				if f.media == "" {
					f.media = given
				}
				if f.media == "" {
					f.media = "application/octet-stream"
				}
				if f.name == "" {
					f.name = m.Name
				}
			case jsonMedia(e.media):
				f.data = v
			default:
				f.data = []byte(scalar(v))
				if f.media == "" && (v[0] == '{' || v[0] == '[') {
					f.media = "application/json"
				}
			}
			writePart(&b, boundary, m.Name, f)
		}
	}
	fmt.Fprintf(&b, "--%s--\r\n", boundary)
	base, _, _ := strings.Cut(media, ";")
	return b.Bytes(), strings.TrimSpace(base) + "; boundary=" + boundary, nil
}

func writePart(b *bytes.Buffer, boundary, name string, f upload) {
	fmt.Fprintf(b, "--%s\r\nContent-Disposition: form-data; name=\"%s\"", boundary, quoted(name))
	if f.name != "" {
		fmt.Fprintf(b, "; filename=\"%s\"", quoted(f.name))
	}
	b.WriteString("\r\n")
	if f.media != "" {
		fmt.Fprintf(b, "Content-Type: %s\r\n", f.media)
	}
	b.WriteString("\r\n")
	b.Write(f.data)
	b.WriteString("\r\n")
}

// quoted escapes a name for a quoted string in a multipart header, as browsers do (WHATWG HTML, "Multipart form data").
func quoted(s string) string {
	return strings.NewReplacer("\r", "%0D", "\n", "%0A", `"`, "%22").Replace(s)
}

// concretePart is the first media type of a list that is no range; "" when there is none.
func concretePart(list string) string {
	for m := range strings.SplitSeq(list, ",") {
		if m = strings.TrimSpace(m); strings.Contains(m, "/") && !strings.Contains(m, "*") && printable(m) {
			return m
		}
	}
	return ""
}
