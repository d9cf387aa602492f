package rest

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"gatehouse"
	"gatehouse/backend/rest/openapi"
	"gatehouse/wire"
)

// Bounds of what a result shows.
const (
	maxFailure = 16 << 10 // bytes of the body of an answer that is an error
	maxImage   = 4 << 20  // bytes of an image or sound
	maxBlob    = 256 << 10
)

// metaHTTP and metaNext are the members of a result's _meta.
const (
	metaHTTP = "dev.gatehouse/http"
	metaNext = "dev.gatehouse/next"
)

// failed is a result that tells the model what went wrong.
func failed(text string) *gatehouse.Result {
	b := append([]byte(`{"content":[`), textBlock(text)...)
	return &gatehouse.Result{Raw: append(b, `],"isError":true}`...), IsError: true}
}

func textBlock(s string) []byte {
	b := append(make([]byte, 0, len(s)+len(s)/8+32), `{"type":"text","text":`...)
	b = wire.AppendString(b, strings.ReplaceAll(s, "\x00", "\uFFFD"))
	return append(b, '}')
}

// result makes what the caller sees of an answer.
func (s *source) result(t *tool, p *planned, r *openapi.Request, a *answer, principal string) *gatehouse.Result {
	if a.status < 200 || a.status > 299 {
		return failed(s.failure(p, r, a))
	}
	m := mediaOf(a)
	if m.kind == isJSON && len(t.rule.Select) > 0 {
		a.body = project(a.body, t.rule.Select)
	}
	w := writer{src: s, p: p, a: a, principal: principal, media: m}
	meta := wire.Object{{Name: metaHTTP, Value: a.meta()}}
	if m.kind == isJSON {
		if next := p.next(r, a); next != nil {
			w.notes = append(w.notes, next.text)
			meta = append(meta, wire.Member{Name: metaNext, Value: next.meta})
		}
	} else if next := p.link(r, a); next != nil {
		w.notes = append(w.notes, next.text)
		meta = append(meta, wire.Member{Name: metaNext, Value: next.meta})
	}
	if loc := a.header.Get("Location"); loc != "" {
		w.notes = append(w.notes, "Location: "+clip(loc, 2000))
	}
	w.content()
	out := append(make([]byte, 0, len(w.out)+len(w.structured)+256), `{"content":[`...)
	out = append(out, w.out...)
	out = append(out, ']')
	if w.structured != nil {
		out = append(append(out, `,"structuredContent":`...), w.structured...)
	}
	out = append(append(out, `,"_meta":`...), meta.Bytes()...)
	return &gatehouse.Result{Raw: append(out, '}')}
}

// meta is status and type of an answer for programs.
func (a *answer) meta() []byte {
	b := strconv.AppendInt([]byte(`{"status":`), int64(a.status), 10)
	if ct := a.header.Get("Content-Type"); ct != "" {
		b = wire.AppendString(append(b, `,"contentType":`...), clip(ct, 200))
	}
	if loc := a.header.Get("Location"); loc != "" {
		b = wire.AppendString(append(b, `,"location":`...), clip(loc, 2000))
	}
	return append(b, '}')
}

// line is the status as people read it.
func (a *answer) line() string {
	return strings.TrimSpace("HTTP " + strconv.Itoa(a.status) + " " + http.StatusText(a.status))
}

// failure tells of an answer that is no success.
func (s *source) failure(p *planned, r *openapi.Request, a *answer) string {
	path, _, _ := strings.Cut(r.Path, "?") // the query may be long
	text := fmt.Sprintf("%s from %s %s", a.line(), r.Method, clip(path, 500))
	switch {
	case a.elsewhere != "":
		text += "\nIt redirects to " + clip(a.elsewhere, 500) + ", which is not followed: it is another server, or too many redirects."
	case a.status == 401 || a.status == 403:
		if p.wants != "" {
			text += fmt.Sprintf("\nThe operation needs a credential of the scheme %s; whoever runs this gateway must configure it under auth of the source.", p.wants)
		} else if len(p.signs) > 0 {
			text += "\nThe credential configured for the source was not enough."
		}
	case a.status == 429 || a.status == 503:
		if after := a.header.Get("Retry-After"); after != "" {
			text += "\nTry again after " + clip(after, 40) + " (Retry-After)."
		}
	}
	m := mediaOf(a)
	switch {
	case len(a.body) == 0:
		text += "\nThe answer has no body."
	case m.kind == isJSON || m.kind == isText:
		body := clip(m.text(a.body), maxFailure)
		text += "\n\n" + body
		if n := len(a.body) - len(body); n > 0 || a.left != 0 {
			text += "\n" + truncated(int64(max(n, 0)), a.left)
		}
	default:
		text += fmt.Sprintf("\nThe answer is %d bytes of %s.", len(a.body), m.name)
	}
	return text
}

// truncated says how much is not shown: cut bytes that were read, and left that were not (-1: more, nobody knows how many).
func truncated(cut, left int64) string {
	if left < 0 {
		return fmt.Sprintf("[truncated: at least %d more bytes]", cut+1)
	}
	return fmt.Sprintf("[truncated: %d more bytes]", cut+left)
}

// writer writes the content of a result.
type writer struct {
	src       *source
	p         *planned
	a         *answer
	principal string
	media     media

	out        []byte // blocks
	structured []byte
	notes      []string
}

func (w *writer) block(b []byte) {
	if len(w.out) > 0 {
		w.out = append(w.out, ',')
	}
	w.out = append(w.out, b...)
}

func (w *writer) content() {
	a := w.a
	promised := w.p.output != nil
	switch {
	case len(a.body) == 0:
		text := a.line() + ", without a body."
		if a.status == 204 || a.status == 205 || a.method == "HEAD" {
			text = a.line()
		}
		w.notes = append([]string{text}, w.notes...)
	case w.media.kind == isJSON || w.media.kind == isText:
		if a.status != 200 {
			w.notes = append([]string{a.line()}, w.notes...)
		}
		whole := w.text()
		if promised && whole && w.media.kind == isJSON {
			if b, _, err := w.p.output.Conform(a.body); err == nil && b != nil {
				w.structured = b
			}
		}
	default:
		w.bytes()
	}
	if len(w.notes) > 0 || len(w.out) == 0 {
		w.block(textBlock(strings.Join(w.notes, "\n")))
	}
	if promised && w.structured == nil {
		w.structured = w.p.blank
	}
}

// text shows a body that is text; false when it had to be cut.
func (w *writer) text() bool {
	s := w.media.text(w.a.body)
	shown := clip(s, w.src.cfg.ShowBytes)
	w.block(textBlock(shown))
	if len(shown) == len(s) && w.a.left == 0 {
		return true
	}
	note := truncated(int64(len(s)-len(shown)), w.a.left) + " Ask for less, if the operation has arguments for that"
	if len(shown) < len(s) {
		if uri := w.src.held.put(w.principal, kept{mime: w.media.name, text: true, body: []byte(s)}); uri != "" {
			note += ", or read the resource that is linked here"
			w.block(link(uri+"?offset="+strconv.Itoa(len(shown)), w.media.name, len(s)-len(shown), "the rest of the answer"))
		}
	}
	w.notes = append(w.notes, note+".")
	return false
}

// bytes shows a body that is no text.
func (w *writer) bytes() {
	a, name := w.a, w.media.name
	most, kind := maxBlob, ""
	switch w.media.kind {
	case isImage:
		most, kind = maxImage, "image"
	case isAudio:
		most, kind = maxImage, "audio"
	}
	if a.left == 0 && len(a.body) <= most {
		data := base64.StdEncoding.EncodeToString(a.body)
		if kind != "" {
			w.block(wire.Object{{Name: "type", Value: wire.String(kind)}, {Name: "data", Value: wire.String(data)}, {Name: "mimeType", Value: wire.String(name)}}.Bytes())
			return
		}
		uri := w.src.held.put(w.principal, kept{mime: name, body: a.body})
		if uri == "" {
			uri = "result:answer"
		}
		inner := wire.Object{{Name: "uri", Value: wire.String(uri)}, {Name: "mimeType", Value: wire.String(name)}, {Name: "blob", Value: wire.String(data)}}
		w.block(wire.Object{{Name: "type", Value: []byte(`"resource"`)}, {Name: "resource", Value: inner.Bytes()}}.Bytes())
		w.notes = append(w.notes, fmt.Sprintf("%s: %d bytes of %s", a.line(), len(a.body), name))
		return
	}
	note := fmt.Sprintf("%s: %d bytes of %s", a.line(), len(a.body), name)
	if uri := w.src.held.put(w.principal, kept{mime: name, body: a.body}); uri != "" {
		w.block(link(uri, name, len(a.body), "the answer"))
		note += "; read them from the resource that is linked here"
	} else {
		note += ", too many to show or keep"
	}
	if a.left != 0 {
		note += " " + truncated(0, a.left)
	}
	w.notes = append(w.notes, note+".")
}

// link is a resource_link block.
func link(uri, mime string, size int, what string) []byte {
	return wire.Object{
		{Name: "type", Value: []byte(`"resource_link"`)},
		{Name: "uri", Value: wire.String(uri)},
		{Name: "name", Value: wire.String(what)},
		{Name: "mimeType", Value: wire.String(mime)},
		{Name: "size", Value: strconv.AppendInt(nil, int64(size), 10)},
	}.Bytes()
}

// clip shortens s to at most n bytes, at the end of a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// project keeps the members of a JSON value that paths name. Arrays are passed through: a path goes on in each element.
func project(b []byte, paths []string) []byte {
	var split [][]string
	for _, p := range paths {
		split = append(split, strings.Split(p, "."))
	}
	return keep(bytes.TrimSpace(b), split)
}

func keep(b []byte, paths [][]string) []byte {
	for _, p := range paths {
		if len(p) == 0 {
			return b
		}
	}
	if el, ok := wire.Elements(b); ok {
		out := []byte{'['}
		for i, e := range el {
			if i > 0 {
				out = append(out, ',')
			}
			out = append(out, keep(e, paths)...)
		}
		return append(out, ']')
	}
	o, ok := wire.ParseObject(b)
	if !ok {
		return b
	}
	out := wire.Object{}
	for _, m := range o {
		var below [][]string
		for _, p := range paths {
			if p[0] == m.Name || p[0] == "*" {
				below = append(below, p[1:])
			}
		}
		if below != nil {
			out = append(out, wire.Member{Name: m.Name, Value: keep(m.Value, below)})
		}
	}
	return out.Bytes()
}
