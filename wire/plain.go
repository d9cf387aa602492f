package wire

import (
	"bytes"
	"math"
	"unicode/utf8"
)

// plainReader reads JSON as nearly everybody writes it, several times faster than the full reader: objects of a few members, names
// without escapes, strings without \u. Its yes is certain. Its no says nothing but that the full reader has to look.
type plainReader struct {
	b                      []byte
	i                      int
	depth, members, number int  // that are left, and the length of a number
	wide                   bool // there are bytes that are not ASCII
	canonical              bool // yes only to the canonical form
	names                  [plainNames]span
	open                   int // names in use, by all objects that are open
}

type span struct{ from, to int }

const (
	plainNames  = 64 // names that may have to be compared at once
	plainMember = 16 // members of one object, since each name is compared with the others
	plainDepth  = 32
)

// isPlain reports whether b is one value that Verify accepts, and plain.
func isPlain(b []byte, l Limits) bool {
	p := plainReader{b: b, depth: min(most(l.Depth), plainDepth), members: most(l.Members), number: most(l.Number)}
	return p.all()
}

// isCanonical reports whether b is one value in the form that Canonical gives it, and plain.
func isCanonical(b []byte) bool {
	p := plainReader{b: b, depth: plainDepth, members: math.MaxInt, number: math.MaxInt, canonical: true}
	return p.all()
}

// most is a bound, where 0 means none.
func most(n int) int {
	if n <= 0 {
		return math.MaxInt
	}
	return n
}

func (p *plainReader) all() bool {
	if !p.value() {
		return false
	}
	p.space()
	return p.i == len(p.b) && (!p.wide || utf8.Valid(p.b))
}

func (p *plainReader) space() {
	if !p.canonical {
		p.i = skipSpace(p.b, p.i)
	}
}

// next takes the byte c, after space.
func (p *plainReader) next(c byte) bool {
	p.space()
	if p.i < len(p.b) && p.b[p.i] == c {
		p.i++
		return true
	}
	return false
}

func (p *plainReader) value() bool {
	p.space()
	if p.i >= len(p.b) {
		return false
	}
	switch c := p.b[p.i]; c {
	case '{':
		return p.object()
	case '[':
		return p.array()
	case '"':
		return p.str(false)
	case 't':
		return p.literal("true")
	case 'f':
		return p.literal("false")
	case 'n':
		return p.literal("null")
	default:
		return p.num()
	}
}

func (p *plainReader) literal(s string) bool {
	if len(p.b)-p.i < len(s) || string(p.b[p.i:p.i+len(s)]) != s {
		return false
	}
	p.i += len(s)
	return true
}

func (p *plainReader) object() bool {
	first := p.open
	if p.i++; p.depth == 0 {
		return false
	}
	p.depth--
	if !p.next('}') {
		for {
			p.space()
			from := p.i
			if !p.str(true) {
				return false
			}
			name := p.b[from:p.i]
			for _, o := range p.names[first:p.open] {
				if bytes.Equal(name, p.b[o.from:o.to]) {
					return false
				}
			}
			if p.open == plainNames || p.open-first == plainMember {
				return false
			}
			if p.canonical && p.open > first && bytes.Compare(name[:len(name)-1], p.b[p.names[p.open-1].from:p.names[p.open-1].to-1]) < 0 {
				return false
			}
			p.names[p.open] = span{from, p.i}
			p.open++
			if p.members--; p.members < 0 || !p.next(':') || !p.value() {
				return false
			}
			if p.next(',') {
				continue
			}
			if !p.next('}') {
				return false
			}
			break
		}
	}
	p.depth++
	p.open = first
	return true
}

func (p *plainReader) array() bool {
	if p.i++; p.depth == 0 {
		return false
	}
	p.depth--
	if !p.next(']') {
		for {
			if p.members--; p.members < 0 || !p.value() {
				return false
			}
			if p.next(',') {
				continue
			}
			if !p.next(']') {
				return false
			}
			break
		}
	}
	p.depth++
	return true
}

// str takes a string; a name must be ASCII without escapes.
func (p *plainReader) str(name bool) bool {
	b, i := p.b, p.i
	if i >= len(b) || b[i] != '"' {
		return false
	}
	for i++; ; i++ {
		for i < len(b) && ordinary[b[i]] {
			i++
		}
		if i >= len(b) {
			return false
		}
		switch c := b[i]; {
		case c == '"':
			p.i = i + 1
			return true
		case c == '\\':
			if i++; name || p.canonical || i >= len(b) {
				return false
			}
			switch b[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			default:
				return false
			}
		case c < 0x20:
			return false
		case c >= utf8.RuneSelf:
			if p.wide = true; name {
				return false
			}
		}
	}
}

// ordinary marks the bytes that stand in a string for themselves and are ASCII.
var ordinary = func() (t [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

func (p *plainReader) num() bool {
	b, start := p.b, p.i
	digits := func() bool {
		from := p.i
		for p.i < len(b) && b[p.i] >= '0' && b[p.i] <= '9' {
			p.i++
		}
		return p.i > from
	}
	if b[p.i] == '-' {
		p.i++
	}
	switch {
	case p.i < len(b) && b[p.i] == '0':
		p.i++
	case !digits():
		return false
	}
	if p.i < len(b) && b[p.i] == '.' {
		if p.i++; !digits() {
			return false
		}
	}
	if p.i < len(b) && b[p.i]|0x20 == 'e' {
		if p.i++; p.i < len(b) && (b[p.i] == '+' || b[p.i] == '-') {
			p.i++
		}
		if !digits() {
			return false
		}
	}
	return p.i-start <= p.number
}
