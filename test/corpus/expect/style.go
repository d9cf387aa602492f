package expect

import (
	"encoding/json"
	"net/url"
	"strings"
)

// pair is one name and value that a query, a form or the cookies must hold.
type pair struct {
	name  string
	value string
	list  []string // not nil: the value is these, joined by delim; each escaped by itself
	delim string
	json  *any // not nil: the value is the text of this JSON value
	exact bool // allowReserved: value is in its escaped form, reserved characters as they are
}

// scalar is the text of a primitive; false for arrays and objects.
func scalar(v any) (string, bool) {
	switch x := v.(type) {
	case string:
		return x, true
	case Bytes:
		return string(x), true
	case json.Number:
		return string(x), true
	case bool:
		if x {
			return "true", true
		}
		return "false", true
	}
	return "", false
}

// scalars are the texts of an array, or the names and texts of an object; null stands for nothing (RFC 6570 section 2.3).
func scalars(v any) (texts []string, names []string, ok bool) {
	switch x := v.(type) {
	case []any:
		for _, e := range x {
			if e == nil {
				continue
			}
			s, ok := scalar(e)
			if !ok {
				return nil, nil, false
			}
			texts = append(texts, s)
		}
		return texts, nil, true
	case map[string]any:
		for _, k := range keys(x) {
			if x[k] == nil {
				continue
			}
			s, ok := scalar(x[k])
			if !ok {
				return nil, nil, false
			}
			texts, names = append(texts, s), append(names, k)
		}
		return texts, names, true
	}
	return nil, nil, false
}

// leaves are the texts of all primitives in a value, for places where OpenAPI leaves the form open.
func leaves(v any) []string {
	switch x := v.(type) {
	case []any:
		var out []string
		for _, e := range x {
			out = append(out, leaves(e)...)
		}
		return out
	case map[string]any:
		var out []string
		for _, k := range keys(x) {
			out = append(out, leaves(x[k])...)
		}
		return out
	}
	if s, ok := scalar(v); ok && s != "" {
		return []string{s}
	}
	return nil
}

// alternate puts names before their values.
func alternate(names, texts []string) []string {
	if names == nil {
		return texts
	}
	out := make([]string, 0, 2*len(names))
	for i, n := range names {
		out = append(out, n, texts[i])
	}
	return out
}

func equals(names, texts []string) []string {
	out := make([]string, 0, len(names))
	for i, n := range names {
		out = append(out, n+"="+texts[i])
	}
	return out
}

// query serializes a parameter or form field as OpenAPI's styles say; defined is false where the text says the
// representation is undefined.
func (q *Param) query(v any, two bool) (out []pair, defined bool) {
	if v == nil {
		return nil, q.Note == ""
	}
	if q.Note != "" {
		return nil, false
	}
	text, isScalar := scalar(v)
	texts, names, flat := scalars(v)
	one := func(s string) []pair {
		if q.Reserved {
			return []pair{{name: q.Name, value: reserved(s), exact: true}}
		}
		return []pair{{name: q.Name, value: s}}
	}
	if isScalar {
		switch {
		case q.Style == "form" || two:
			return one(text), true
		}
		return nil, false
	}
	if !flat {
		return nil, false
	}
	if len(texts) == 0 {
		return nil, true
	}
	_, isObject := v.(map[string]any)
	delim := map[string]string{"form": ",", "spaceDelimited": " ", "pipeDelimited": "|", "tabDelimited": "\t"}[q.Style]
	switch {
	case q.Style == "form" && q.Explode && isObject:
		for i, n := range names {
			one := pair{name: n, value: texts[i]}
			if q.Reserved {
				one.value, one.exact = reserved(texts[i]), true
			}
			out = append(out, one)
		}
		return out, true
	case q.Style == "form" && q.Explode:
		for _, t := range texts {
			out = append(out, one(t)...)
		}
		return out, true
	case delim != "" && !q.Explode:
		return []pair{{name: q.Name, list: alternate(names, texts), delim: delim}}, true
	case q.Style == "deepObject" && isObject:
		for i, n := range names {
			out = append(out, pair{name: q.Name + "[" + n + "]", value: texts[i]})
		}
		return out, true
	}
	return nil, false
}

// segment serializes a path parameter; strict says that reserved characters of the result are delimiters.
func (q *Param) segment(v any) (encoded string, strict, defined bool) {
	text, isScalar := scalar(v)
	texts, names, flat := scalars(v)
	if !isScalar && (!flat || len(texts) == 0) {
		return "", false, false
	}
	enc := func(ss []string) []string {
		out := make([]string, len(ss))
		for i, s := range ss {
			out[i] = escape(s)
		}
		return out
	}
	var list []string
	if !isScalar {
		texts = enc(texts)
		if names != nil {
			names = enc(names)
		}
		list = alternate(names, texts)
	}
	name := escape(q.Name)
	switch q.Style {
	case "simple":
		if isScalar {
			return escape(text), false, true
		}
		if q.Explode && names != nil {
			list = equals(names, texts)
		}
		return strings.Join(list, ","), true, true
	case "label":
		if isScalar {
			return "." + escape(text), true, true
		}
		sep := ","
		if q.Explode {
			sep = "."
			if names != nil {
				list = equals(names, texts)
			}
		}
		return "." + strings.Join(list, sep), true, true
	case "matrix":
		if isScalar {
			return ";" + name + "=" + escape(text), true, true
		}
		if !q.Explode {
			return ";" + name + "=" + strings.Join(list, ","), true, true
		}
		if names != nil {
			return ";" + strings.Join(equals(names, texts), ";"), true, true
		}
		return ";" + name + "=" + strings.Join(texts, ";"+name+"="), true, true
	}
	return "", false, false
}

// header serializes a header's value: as simple style says, without escaping.
func (q *Param) header(v any) (string, bool) {
	if s, ok := scalar(v); ok {
		return s, q.Style == "simple"
	}
	texts, names, ok := scalars(v)
	if !ok || len(texts) == 0 || q.Style != "simple" {
		return "", false
	}
	if q.Explode && names != nil {
		return strings.Join(equals(names, texts), ","), true
	}
	return strings.Join(alternate(names, texts), ","), true
}

// cookie serializes cookies. Exploded form style has the wrong delimiter for cookies, so there is nothing to expect.
func (q *Param) cookie(v any) ([]pair, bool) {
	text, isScalar := scalar(v)
	texts, names, flat := scalars(v)
	raw := q.Style == "cookie"
	switch {
	case !raw && q.Style != "form":
		return nil, false
	case isScalar:
		return []pair{{name: q.Name, value: text, exact: raw}}, true
	case !flat || len(texts) == 0:
		return nil, false
	case !q.Explode && raw:
		return []pair{{name: q.Name, value: strings.Join(alternate(names, texts), ","), exact: true}}, true
	case !q.Explode:
		return []pair{{name: q.Name, list: alternate(names, texts), delim: ","}}, true
	case raw && names != nil:
		var out []pair
		for i, n := range names {
			out = append(out, pair{name: n, value: texts[i], exact: true})
		}
		return out, true
	case raw:
		var out []pair
		for _, t := range texts {
			out = append(out, pair{name: q.Name, value: t, exact: true})
		}
		return out, true
	}
	return nil, false
}

const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"

// escape is RFC 6570's simple expansion of one text.
func escape(s string) string { return escapeBut(s, unreserved) }

// reserved is RFC 6570's reserved expansion; the samples have no percent signs there.
func reserved(s string) string { return escapeBut(s, unreserved+":/?#[]@!$&'()*+,;=") }

func escapeBut(s, keep string) string {
	var b strings.Builder
	for i := range len(s) {
		if strings.IndexByte(keep, s[i]) >= 0 {
			b.WriteByte(s[i])
			continue
		}
		b.WriteByte('%')
		b.WriteByte("0123456789ABCDEF"[s[i]>>4])
		b.WriteByte("0123456789ABCDEF"[s[i]&15])
	}
	return b.String()
}

// normal is the normal form of RFC 3986 section 6.2.2: unreserved characters plain, hex digits upper case, and what
// a URI may not hold escaped.
func normal(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := url.PathUnescape(s[i : i+3]); err == nil {
				if strings.Contains(unreserved, c) {
					b.WriteString(c)
				} else {
					b.WriteString(strings.ToUpper(s[i : i+3]))
				}
				i += 2
				continue
			}
		}
		b.WriteString(escapeBut(s[i:i+1], unreserved+":/?#[]@!$&'()*+,;=%"))
	}
	return b.String()
}
