package expect

import (
	"encoding/base64"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"
)

// alphabet is what the text of a sample may hold, by the place it goes to: where a place has no way to escape a character
// (a header) or a delimiter cannot be told from data (pipes), values with it have no prescribed form.
type alphabet struct {
	ascii   bool   // printable ASCII only, no space at the ends
	without string // characters that must not appear
	some    bool   // not empty, and neither . nor ..
}

func (a alphabet) fit(s string) string {
	s = strings.Map(func(r rune) rune {
		if strings.ContainsRune(a.without, r) || a.ascii && (r < 0x20 || r > 0x7e) {
			return -1
		}
		return r
	}, s)
	if a.ascii {
		s = strings.TrimSpace(s)
	}
	return s
}

func (a alphabet) holds(s string) bool {
	return a.fit(s) == s && !(a.some && (s == "" || s == "." || s == ".."))
}

// careful is the n-th text that a careless program breaks.
func careful(n int) string {
	texts := [...]string{
		"a b/c?d#e", "é€😀 ü", "x&y=z+1%2C,;:@$!'()*", `<t a="1">&amp;\'`, "..x/y%2F", "plain", "{id}~-_.", "[0]|^`", "true", "-0012.50",
	}
	return texts[n%len(texts)]
}

func (d dialect) formatted(format string, n int) []string {
	pick := func(ss ...string) []string { return append(ss[n%len(ss):], ss[:n%len(ss)]...) }
	switch format {
	case "date":
		return pick("2024-02-29", "1999-12-31")
	case "date-time":
		return pick("2024-02-29T23:59:59Z", "2023-07-01T12:00:00.123456+05:30")
	case "time":
		return pick("12:34:56Z")
	case "duration":
		return pick("P1DT12H", "PT5M")
	case "uuid", "guid":
		return pick("f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "00000000-0000-4000-8000-000000000001")
	case "email", "idn-email":
		return pick("a+b@example.org", "o'neil@example.com")
	case "uri", "url", "uri-reference", "iri":
		return pick("https://example.org/a%20b?x=1&y=2#z", "http://[::1]:8080/")
	case "hostname":
		return pick("host.example.org")
	case "ipv4", "ip":
		return pick("192.0.2.1", "198.51.100.255")
	case "ipv6":
		return pick("2001:db8::1")
	case "byte", "base64", "binary":
		return pick(base64.StdEncoding.EncodeToString([]byte("gate>?house")), "AAEC/w==")
	case "int32", "int64", "integer", "number":
		return pick("42")
	case "json-pointer":
		return pick("/a~1b/0")
	case "regex":
		return pick("^a+$")
	}
	return nil
}

// strings are candidates for a string that the parts describe, the most demanding first.
func (g *gen) strings(ps []part, least, most int) []string {
	var out []string
	g.n++
	for _, p := range ps {
		if f := p.get("format").text(); f != "" && p.get("pattern").text() == "" {
			out = append(out, g.d.formatted(f, g.n)...)
		}
		if p.get("contentEncoding").text() != "" {
			out = append(out, g.d.formatted("byte", g.n)...)
		}
	}
	patterned := false
	for _, p := range ps {
		if pattern := p.get("pattern").text(); pattern != "" {
			patterned = true
			out = append(out, g.d.matching(pattern, g.n, least, most)...)
		}
	}
	for i := range 10 {
		s := g.alphabet.fit(careful(g.n + i))
		for utf8.RuneCountInString(s) < least && len(s) > 0 && least < 5000 {
			s += s
		}
		out = append(out, g.alphabet.fit(clip(s, most)))
		if patterned && least > 0 {
			out = append(out, clip(s, least))
		}
	}
	for _, p := range ps {
		for _, w := range []string{"example", "default", "x-example"} {
			if s := p.get(w).text(); s != "" {
				out = append(out, s)
			}
		}
		for _, e := range p.get("examples").each() {
			out = append(out, e.text())
		}
	}
	for _, c := range []string{"a", "1", "A", "0"} {
		n := max(least, 1)
		if n < 100_000 {
			out = append(out, strings.Repeat(c, n))
		}
	}
	return append(out, "")
}

func clip(s string, n int) string {
	if n < 0 || utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n])
}

// matching makes texts that a pattern finds, shorter and longer ones.
func (d dialect) matching(pattern string, n, least, most int) []string {
	re, err := syntax.Parse(goPattern(pattern), syntax.Perl)
	if err != nil {
		return nil
	}
	check, err := d.regexp(pattern)
	if err != nil {
		return nil
	}
	var out []string
	tries := []int{n % 2, 1, 2, 3, 5, 8, 12, 20, 40, least, most}
	for i := range 64 {
		tries = append(tries, i)
	}
	for _, times := range tries {
		w := writer{n: n, times: times, left: 4000}
		w.write(re)
		s := w.String()
		if k := utf8.RuneCountInString(s); k >= least && (most < 0 || k <= most) && check.MatchString(s) && !slices.Contains(out, s) {
			if out = append(out, s); len(out) == 4 {
				break
			}
		}
	}
	return out
}

// writer writes a text for a regular expression; what may repeat does so a number of times.
type writer struct {
	strings.Builder
	n, times, left int
}

func (w *writer) write(re *syntax.Regexp) {
	if w.left--; w.left < 0 {
		return
	}
	repeat := func(least, most int) {
		k := max(w.times, least)
		if most >= 0 {
			k = min(k, most)
		}
		for range k {
			w.write(re.Sub[0])
		}
	}
	switch re.Op {
	case syntax.OpLiteral:
		w.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		w.WriteRune(from(re.Rune, w.n))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		w.WriteByte('x')
	case syntax.OpCapture:
		w.write(re.Sub[0])
	case syntax.OpPlus:
		repeat(1, -1)
	case syntax.OpStar:
		repeat(0, -1)
	case syntax.OpQuest:
		repeat(0, 1)
	case syntax.OpRepeat:
		repeat(re.Min, re.Max)
	case syntax.OpConcat:
		for _, s := range re.Sub {
			w.write(s)
		}
	case syntax.OpAlternate:
		w.write(re.Sub[w.n%len(re.Sub)])
	}
}

// from picks a letter or digit of a class if it has one, else its first printable character.
func from(class []rune, n int) rune {
	for i := 0; i+1 < len(class); i += 2 {
		low, high := class[i], class[i+1]
		for _, r := range "abAB019" {
			if r >= low && r <= high && n%3 != 2 {
				return r
			}
		}
		if low > 0x20 && low < 0x7f {
			return low
		}
	}
	for i := 0; i+1 < len(class); i += 2 {
		if r := max(class[i], 0x20); r <= class[i+1] {
			return r
		}
	}
	return class[0]
}
