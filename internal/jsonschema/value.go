package jsonschema

import (
	"bytes"
	"strconv"
	"strings"

	"gatehouse/wire"
)

// The kinds of JSON value, as bits of a set.
const (
	null uint8 = 1 << iota
	boolean
	number
	text
	array
	object
	integer // of schemas only: a number without a fraction
)

const (
	maxLiteral = 64  // bytes of a number, as wire has it
	maxDigits  = 9   // digits of its exponent
	maxNested  = 128 // arrays and objects within each other
)

// part is one value of a document: where it is written, and where the next one stands that is not within it. The parts of
// an object are key, value, key, value.
type part struct {
	start, end int32
	next       int32
	n          int32 // elements of an array, members of an object
	kind       uint8
	escaped    bool // a string with a backslash
}

// value is a JSON text split once into its parts, so that however many schemas look at it, it is scanned one time. A place
// in it is an index of parts; 0 is the whole.
type value struct {
	b     []byte
	parts []part
	max   int
}

// read splits b, which passed wire.Verify. It reports false when b is no JSON, is nested deeper than wire allows, has a
// number beyond our arithmetic, or has more than max parts.
func (v *value) read(b []byte, max int) bool {
	v.b, v.parts, v.max = b, v.parts[:0], max
	if len(b) >= 1<<30 {
		return false
	}
	i := v.value(v.space(0), 0)
	return i > 0 && v.space(i) == len(b)
}

func (v *value) space(i int) int {
	for i < len(v.b) && (v.b[i] == ' ' || v.b[i] == '\n' || v.b[i] == '\r' || v.b[i] == '\t') {
		i++
	}
	return i
}

// value reads the value that begins at i and returns where it ends, 0 when it is none.
func (v *value) value(i, depth int) int {
	at := len(v.parts)
	if i >= len(v.b) || depth > maxNested || at >= v.max {
		return 0
	}
	p := part{start: int32(i)}
	switch c := v.b[i]; c {
	case '{', '[':
		v.parts = append(v.parts, p)
		p.kind = array
		if c == '{' {
			p.kind = object
		}
		if i, p.n = v.inside(i+1, c == '{', depth); i == 0 {
			return 0
		}
		p.end, p.next = int32(i), int32(len(v.parts))
		v.parts[at] = p
		return i
	case '"':
		p.kind = text
		if i, p.escaped = v.quoted(i + 1); i == 0 {
			return 0
		}
	case 'n', 't', 'f':
		word := "null"
		p.kind = null
		if c == 't' {
			word, p.kind = "true", boolean
		} else if c == 'f' {
			word, p.kind = "false", boolean
		}
		if !bytes.HasPrefix(v.b[i:], []byte(word)) {
			return 0
		}
		i += len(word)
	default:
		p.kind = number
		e := 0
		b := v.b
	digits:
		for ; i < len(b); i++ {
			switch c := b[i]; {
			case c >= '0' && c <= '9', c == '-', c == '+', c == '.':
			case c|0x20 == 'e':
				e = i
			default:
				break digits
			}
		}
		if n := i - int(p.start); n == 0 || n > maxLiteral || e > 0 && i-e > maxDigits+2 {
			return 0
		}
	}
	p.end, p.next = int32(i), int32(at)+1
	v.parts = append(v.parts, p)
	return i
}

// quoted returns where the string ends whose content begins at i, 0 when it does not, and whether it has a backslash.
func (v *value) quoted(i int) (end int, escaped bool) {
	n := bytes.IndexByte(v.b[i:], '"')
	if n < 0 {
		return 0, false
	}
	if bytes.IndexByte(v.b[i:i+n], '\\') < 0 {
		return i + n + 1, false
	}
	for ; i < len(v.b) && v.b[i] != '"'; i++ {
		if v.b[i] == '\\' {
			i++
		}
	}
	if i >= len(v.b) {
		return 0, true
	}
	return i + 1, true
}

// inside reads the elements of an array or the members of an object.
func (v *value) inside(i int, members bool, depth int) (int, int32) {
	var n int32
	if i = v.space(i); i < len(v.b) && (v.b[i] == '}' || v.b[i] == ']') {
		return i + 1, 0
	}
	for i < len(v.b) {
		if members {
			if v.b[i] != '"' {
				return 0, 0
			}
			if i = v.value(i, depth+1); i == 0 {
				return 0, 0
			}
			if i = v.space(i); i >= len(v.b) || v.b[i] != ':' {
				return 0, 0
			}
			i = v.space(i + 1)
		}
		if i = v.value(i, depth+1); i == 0 {
			return 0, 0
		}
		n++
		if i = v.space(i); i >= len(v.b) {
			return 0, 0
		}
		switch v.b[i] {
		case ',':
			i = v.space(i + 1)
		case '}', ']':
			return i + 1, n
		default:
			return 0, 0
		}
	}
	return 0, 0
}

// raw is the value as it was written.
func (v *value) raw(i int32) []byte { return v.b[v.parts[i].start:v.parts[i].end] }

// str is the content of a string. It must not be kept.
func (v *value) str(i int32) []byte {
	p := &v.parts[i]
	if p.escaped {
		s, _ := wire.Text(v.raw(i))
		return []byte(s)
	}
	return v.b[p.start+1 : p.end-1]
}

// get returns the value of a member, 0 when there is none.
func (v *value) get(i int32, name string) int32 {
	if v.parts[i].kind == object {
		for c, end := i+1, v.parts[i].next; c < end; c = v.parts[c+1].next {
			if string(v.str(c)) == name {
				return c + 1
			}
		}
	}
	return 0
}

// text is get of a string member, "" when there is none.
func (v *value) text(i int32, name string) string {
	if c := v.get(i, name); c > 0 && v.parts[c].kind == text {
		return string(v.str(c))
	}
	return ""
}

// children calls f with the key and the value of every member, or with every element and no key.
func (v *value) children(i int32, f func(key, val int32)) {
	p := v.parts[i]
	for c := i + 1; c < p.next; {
		if p.kind == object {
			f(c, c+1)
			c = v.parts[c+1].next
			continue
		}
		f(0, c)
		c = v.parts[c].next
	}
}

// walk calls f for every step on the way from the whole to a place: with the member's key, or the element's number. A key
// is where its member is.
func (v *value) walk(to int32, f func(key int32, n int)) {
	for i := int32(0); i != to; {
		n, into := 0, int32(-1)
		v.children(i, func(key, val int32) {
			if into < 0 && to < v.parts[val].next {
				if f(key, n); key == to {
					into = to
				} else {
					into = val
				}
			}
			n++
		})
		if into < 0 {
			return
		}
		i = into
	}
}

// pointer is the JSON pointer of a place, in the form that $ref has.
func (v *value) pointer(to int32) string {
	s := []byte("#")
	v.walk(to, func(key int32, n int) {
		s = append(s, '/')
		if key > 0 {
			s = append(s, strings.NewReplacer("~", "~0", "/", "~1").Replace(string(v.str(key)))...)
			return
		}
		s = strconv.AppendInt(s, int64(n), 10)
	})
	return string(s)
}

// path is a place as a person writes it: items[2].price.
func (v *value) path(to int32) string {
	var s []byte
	v.walk(to, func(key int32, n int) {
		if key > 0 {
			s = appendName(s, string(v.str(key)))
			return
		}
		s = append(s, '[')
		s = append(strconv.AppendInt(s, int64(n), 10), ']')
	})
	return string(s)
}

// appendName adds a member's name to a path, quoted when it would not be read as one.
func appendName(s []byte, name string) []byte {
	plain := name != ""
	for _, c := range name {
		plain = plain && (c == '_' || c == '-' || c == '$' || c == '@' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c > 0x7f)
	}
	if !plain {
		return append(append(append(s, '['), wire.String(short(name))...), ']')
	}
	if len(s) > 0 {
		s = append(s, '.')
	}
	return append(s, short(name)...)
}
