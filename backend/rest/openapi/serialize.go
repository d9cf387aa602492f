package openapi

import (
	"fmt"
	"strings"

	"gatehouse/wire"
)

const hexUpper = "0123456789ABCDEF"

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// unreserved reports whether c is unreserved (RFC 3986 section 2.3).
func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

// escape percent-encodes everything that is not unreserved, nor in keep.
func escape(s, keep string) string {
	for i := 0; i < len(s); i++ {
		if !unreserved(s[i]) && strings.IndexByte(keep, s[i]) < 0 {
			out := append(make([]byte, 0, len(s)+16), s[:i]...)
			for ; i < len(s); i++ {
				if c := s[i]; unreserved(c) || strings.IndexByte(keep, c) >= 0 {
					out = append(out, c)
				} else {
					out = append(out, '%', hexUpper[c>>4], hexUpper[c&15])
				}
			}
			return string(out)
		}
	}
	return s
}

// Reserved characters that a value may keep under allowReserved: those that do not end the component or split it.
const (
	keepQuery = ":/?@!$'()*,;"
	keepPath  = ":@!$&'()*+,;="
)

// scalar is a JSON value as text: a string itself, anything else as it is written.
func scalar(v []byte) string {
	if s, ok := wire.Text(v); ok {
		return s
	}
	return string(v)
}

// pair is one name and value of a query or form, not yet escaped; sep is a delimiter that stays between values.
type pair struct {
	name string
	vals []string
	sep  string
	kept string // characters of the values that stay as they are
}

func (p pair) write(b *strings.Builder) {
	b.WriteString(escape(p.name, ""))
	b.WriteByte('=')
	for i, v := range p.vals {
		if i > 0 {
			b.WriteString(p.sep)
		}
		b.WriteString(escape(v, p.kept))
	}
}

// pairs writes a value of a query or a form in its style (OpenAPI 3.2, "Style Examples"). A null and an empty list are
// left out, since none of the styles can say them.
func pairs(name, style string, explode, reserved bool, v []byte) []pair {
	kept := ""
	if reserved {
		kept = keepQuery
	}
	one := func(name, value string) pair { return pair{name: name, vals: []string{value}, kept: kept} }
	if wire.IsNull(v) {
		return nil
	}
	sep := map[string]string{"spaceDelimited": "%20", "pipeDelimited": "%7C", "tabDelimited": "%09"}[style]
	if sep == "" {
		sep = ","
	}
	if el, ok := wire.Elements(v); ok {
		if style == "deepObject" {
			return deep(name, v, one, 0)
		}
		var out []pair
		joined := pair{name: name, sep: sep, kept: kept}
		for _, e := range el {
			if wire.IsNull(e) {
				continue
			}
			if explode {
				out = append(out, one(name, scalar(e)))
			} else {
				joined.vals = append(joined.vals, scalar(e))
			}
		}
		if len(joined.vals) > 0 {
			out = append(out, joined)
		}
		return out
	}
	if o, ok := wire.ParseObject(v); ok {
		if style == "deepObject" {
			return deep(name, v, one, 0)
		}
		var out []pair
		joined := pair{name: name, sep: sep, kept: kept}
		for _, m := range o {
			if wire.IsNull(m.Value) {
				continue
			}
			if explode {
				out = append(out, pairs(m.Name, "form", true, reserved, m.Value)...)
			} else {
				joined.vals = append(joined.vals, m.Name, scalar(m.Value))
			}
		}
		if len(joined.vals) > 0 {
			out = append(out, joined)
		}
		return out
	}
	return []pair{one(name, scalar(v))}
}

// deep writes name[member]=value. What OpenAPI leaves open is written as most servers read it: members of members in
// further brackets, elements by their index.
func deep(name string, v []byte, one func(name, value string) pair, depth int) []pair {
	var out []pair
	if depth > 16 || wire.IsNull(v) {
		return nil
	}
	if o, ok := wire.ParseObject(v); ok {
		for _, m := range o {
			out = append(out, deep(name+"["+m.Name+"]", m.Value, one, depth+1)...)
		}
		return out
	}
	if el, ok := wire.Elements(v); ok {
		for i, e := range el {
			out = append(out, deep(fmt.Sprintf("%s[%d]", name, i), e, one, depth+1)...)
		}
		return out
	}
	return []pair{one(name, scalar(v))}
}

// segmentValue writes a value into a path in its style (RFC 6570 sections 3.2.2, 3.2.5, 3.2.7).
func segmentValue(q *param, v []byte) (string, error) {
	kept := ""
	if q.reserved {
		kept = keepPath
	}
	esc := func(s string) string { return escape(s, kept) }
	lead, sep := "", ","
	switch q.style {
	case "label":
		lead = "."
		if q.explode {
			sep = "."
		}
	case "matrix":
		lead = ";"
		if q.explode {
			sep = ";"
		}
	case "spaceDelimited":
		sep = "%20"
	case "pipeDelimited":
		sep = "%7C"
	case "tabDelimited":
		sep = "%09"
	}
	named := q.style == "matrix"
	var parts []string
	switch {
	case wire.IsNull(v):
		return "", fmt.Errorf("must not be null")
	case len(v) > 0 && v[0] == '[':
		el, _ := wire.Elements(v)
		if len(el) == 0 {
			return "", fmt.Errorf("must not be empty")
		}
		for _, e := range el {
			s := esc(scalar(e))
			if s == "" && len(el) == 1 {
				return "", fmt.Errorf("must not be empty")
			}
			if named && q.explode {
				s = esc(q.name) + "=" + s
			}
			parts = append(parts, s)
		}
	case len(v) > 0 && v[0] == '{':
		o, _ := wire.ParseObject(v)
		if len(o) == 0 {
			return "", fmt.Errorf("must not be empty")
		}
		for _, m := range o {
			if q.explode {
				parts = append(parts, esc(m.Name)+"="+esc(scalar(m.Value)))
			} else {
				parts = append(parts, esc(m.Name), esc(scalar(m.Value)))
			}
		}
	default:
		s := scalar(v)
		if s == "" {
			return "", fmt.Errorf("must not be empty")
		}
		parts = []string{esc(s)}
		if named {
			return lead + esc(q.name) + "=" + parts[0], nil
		}
	}
	if named && !q.explode {
		lead += esc(q.name) + "="
	}
	return lead + strings.Join(parts, sep), nil
}

// headerValue writes a value of a header or cookie in style simple: as it is, since nothing there is decoded.
func headerValue(v []byte, explode bool) string {
	if el, ok := wire.Elements(v); ok {
		var parts []string
		for _, e := range el {
			parts = append(parts, scalar(e))
		}
		return strings.Join(parts, ",")
	}
	if o, ok := wire.ParseObject(v); ok {
		var parts []string
		for _, m := range o {
			if explode {
				parts = append(parts, m.Name+"="+scalar(m.Value))
			} else {
				parts = append(parts, m.Name, scalar(m.Value))
			}
		}
		return strings.Join(parts, ",")
	}
	return scalar(v)
}

// fieldText refuses what would end a header field or change it on the way (RFC 9110 section 5.5).
func fieldText(s string) error {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 && c != '\t' || c == 0x7f {
			return fmt.Errorf("must not contain control characters such as line breaks")
		}
	}
	if s != strings.Trim(s, " \t") {
		return fmt.Errorf("must not begin or end with a blank")
	}
	return nil
}
