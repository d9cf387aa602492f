package wire

import (
	"github.com/go-json-experiment/json/jsontext"
)

// Member is one member of an object: its decoded name and its value as written.
type Member struct {
	Name  string
	Value []byte
}

// Object is the members of a JSON object in the order they were written.
type Object []Member

// ParseObject splits a verified value into members; the values are parts of b, not copies. It returns false when b is
// not an object. It must only be given bytes that passed Verify.
func ParseObject(b []byte) (Object, bool) { return AppendMembers(nil, b) }

// AppendMembers is ParseObject into a caller's slice.
func AppendMembers(o Object, b []byte) (Object, bool) {
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '{' {
		return o, false
	}
	i = skipSpace(b, i+1)
	for i < len(b) && b[i] == '"' {
		end := skipString(b, i)
		name := unquote(b[i:end])
		i = skipSpace(b, end) // ':'
		i = skipSpace(b, i+1) // value
		end = skipValue(b, i)
		o = append(o, Member{name, b[i:end:end]})
		i = skipSpace(b, end)
		if i < len(b) && b[i] == ',' {
			i = skipSpace(b, i+1)
		}
	}
	return o, true
}

// Elements splits a verified array; false when b is not an array.
func Elements(b []byte) ([][]byte, bool) {
	i := skipSpace(b, 0)
	if i >= len(b) || b[i] != '[' {
		return nil, false
	}
	var out [][]byte
	i = skipSpace(b, i+1)
	for i < len(b) && b[i] != ']' {
		end := skipValue(b, i)
		out = append(out, b[i:end:end])
		i = skipSpace(b, end)
		if i < len(b) && b[i] == ',' {
			i = skipSpace(b, i+1)
		}
	}
	return out, true
}

// Get returns the value of the member, nil when absent.
func (o Object) Get(name string) []byte {
	for i := range o {
		if o[i].Name == name {
			return o[i].Value
		}
	}
	return nil
}

// Has reports whether the member is there.
func (o Object) Has(name string) bool { return o.Get(name) != nil }

// Set replaces the member, or adds it at the end. It returns the object to keep.
func (o Object) Set(name string, value []byte) Object {
	for i := range o {
		if o[i].Name == name {
			o[i].Value = value
			return o
		}
	}
	return append(o, Member{name, value})
}

// Delete removes the members. It returns the object to keep.
func (o Object) Delete(names ...string) Object {
	out := o[:0]
next:
	for _, m := range o {
		for _, n := range names {
			if m.Name == n {
				continue next
			}
		}
		out = append(out, m)
	}
	return out
}

// Append writes the object to dst, values as they were written.
func (o Object) Append(dst []byte) []byte {
	dst = append(dst, '{')
	for i, m := range o {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendString(dst, m.Name)
		dst = append(dst, ':')
		dst = append(dst, m.Value...)
	}
	return append(dst, '}')
}

// Bytes is Append(nil).
func (o Object) Bytes() []byte {
	n := 2
	for i := range o {
		n += len(o[i].Name) + len(o[i].Value) + len(`"":,`)
	}
	return o.Append(make([]byte, 0, n))
}

// AppendString writes s as a JSON string. Invalid UTF-8 becomes U+FFFD.
func AppendString(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' || c >= 0x7f {
			dst, _ = jsontext.AppendQuote(dst, s)
			return dst
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

// String returns s as a JSON string.
func String(s string) []byte { return AppendString(make([]byte, 0, len(s)+2), s) }

// Text decodes a verified JSON string; false when b is something else.
func Text(b []byte) (string, bool) {
	if len(b) < 2 || b[0] != '"' {
		return "", false
	}
	return unquote(b), true
}

// IsNull reports whether b is absent or null.
func IsNull(b []byte) bool { return len(b) == 0 || string(b) == "null" }

// IsObject reports whether the verified value b is an object.
func IsObject(b []byte) bool { return len(b) > 0 && b[0] == '{' }

func unquote(b []byte) string {
	for _, c := range b[1 : len(b)-1] {
		if c == '\\' {
			out, _ := jsontext.AppendUnquote(nil, b)
			return string(out)
		}
	}
	return intern(b[1 : len(b)-1])
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

func skipString(b []byte, i int) int {
	for i++; i < len(b); i++ {
		if ordinary[b[i]] {
			continue
		}
		if b[i] == '"' {
			break
		}
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

func skipValue(b []byte, i int) int {
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		for depth := 0; i < len(b); i++ {
			switch b[i] {
			case '"':
				i = skipString(b, i) - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
		return i
	}
	for i < len(b) {
		switch b[i] {
		case ',', '}', ']', ' ', '\t', '\n', '\r':
			return i
		}
		i++
	}
	return i
}
