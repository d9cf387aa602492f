package rest

import (
	"bytes"
	"mime"
	"strings"
	"unicode/utf8"

	"gatehouse/wire"
)

// mediaKind is what a result makes of a body.
type mediaKind uint8

const (
	isBytes mediaKind = iota
	isJSON
	isText
	isImage
	isAudio
)

// media is the type of a body, as it was declared and as it turned out.
type media struct {
	kind  mediaKind
	name  string // without parameters
	latin bool   // the text is ISO 8859-1
}

// mediaOf looks at the type and at the bytes: what calls itself JSON or text and is not becomes bytes.
func mediaOf(a *answer) media {
	declared := a.header.Get("Content-Type")
	name, params, err := mime.ParseMediaType(declared)
	if declared == "" || err != nil && name == "" {
		name = ""
	}
	m := media{name: name}
	switch {
	case jsonType(name):
		m.kind = isJSON
	case name == "" || textType(name):
		m.kind = isText
		if first := bytes.TrimLeft(a.body, " \t\r\n"); len(first) > 0 && (first[0] == '{' || first[0] == '[') && (name == "" || name == "text/plain" || name == "text/html" || name == "text/javascript") {
			m.kind = isJSON // many APIs do not say it
		}
	case strings.HasPrefix(name, "image/"):
		m.kind = isImage
	case strings.HasPrefix(name, "audio/"):
		m.kind = isAudio
	}
	if m.kind == isJSON && (a.left != 0 || wire.Verify(a.body, wire.ResultLimits) != nil) {
		m.kind = isText
	}
	if m.kind == isText && !utf8.Valid(a.body) {
		switch strings.ToLower(params["charset"]) {
		case "iso-8859-1", "latin1", "windows-1252", "us-ascii":
			m.latin = true
		default:
			if a.left == 0 || !utf8.Valid(trimRune(a.body)) {
				m.kind = isBytes
			}
		}
	}
	if m.name == "" {
		m.name = map[mediaKind]string{isJSON: "application/json", isText: "text/plain"}[m.kind]
		if m.name == "" {
			m.name = "application/octet-stream"
		}
	}
	return m
}

// trimRune drops a character that was cut at the end.
func trimRune(b []byte) []byte {
	for i := 1; i <= utf8.UTFMax && i <= len(b); i++ {
		if utf8.RuneStart(b[len(b)-i]) {
			if !utf8.FullRune(b[len(b)-i:]) {
				return b[:len(b)-i]
			}
			break
		}
	}
	return b
}

// text is the body as UTF-8.
func (m media) text(b []byte) string {
	if !m.latin {
		return strings.ToValidUTF8(string(b), "\uFFFD")
	}
	out := make([]rune, len(b))
	for i, c := range b {
		out[i] = rune(c)
	}
	return string(out)
}

func jsonType(name string) bool {
	return name == "application/json" || name == "text/json" || strings.HasSuffix(name, "+json")
}

func textType(name string) bool {
	if strings.HasPrefix(name, "text/") || strings.HasSuffix(name, "+xml") || strings.HasSuffix(name, "+yaml") {
		return true
	}
	switch strings.TrimPrefix(strings.TrimPrefix(name, "application/"), "x-") {
	case "xml", "yaml", "javascript", "ecmascript", "ndjson", "json-seq", "jsonlines", "www-form-urlencoded", "graphql", "toml", "sql", "csv", "sh", "problem+json":
		return strings.HasPrefix(name, "application/")
	}
	return false
}
